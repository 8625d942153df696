"""Protocols of others, spoken over the same services: each adapter only translates."""
