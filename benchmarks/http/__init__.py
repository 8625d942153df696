"""The HTTP API under load: many clients at once, and jobs of a million results."""
