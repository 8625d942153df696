"""HTTP API v1: wire models, problems, routes."""
