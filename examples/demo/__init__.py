"""The demo: two tenants, two jobs and a crowd, over HTTP only."""
