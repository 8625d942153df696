"""Who is asked what: the allocator, its policy, and truth inference."""
