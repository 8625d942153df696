"""Adapters behind `cluster.ports`: memory, SQL (SQLite and PostgreSQL) and objects."""
