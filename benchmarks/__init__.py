"""Measurements of Muster, each a module that prints a table and, last, one JSON object."""
