"""What a target would have cost on a recorded crowd, through the service's own brain."""
