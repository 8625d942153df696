"""Pre-labelling on model replicas."""
