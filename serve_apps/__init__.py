"""The edges: HTTP gateway, pre-label replicas, command line, and the composition root."""
