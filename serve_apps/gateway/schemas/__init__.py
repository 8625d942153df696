"""The wire format of the HTTP API: what goes over the network, and how it becomes domain types."""
