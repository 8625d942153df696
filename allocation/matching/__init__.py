"""Push mode: whom to ask about what, for many items and many workers at once."""
