"""What the service tells its operators: metrics of one catalogue, and where they go."""
