"""Webhooks: tenants are told of events, by messages signed after Standard Webhooks 1.0.0."""
