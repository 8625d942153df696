"""Frozen value types every package speaks in; no IO, no framework."""
