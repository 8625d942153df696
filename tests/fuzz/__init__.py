"""Random requests and random bytes, for as long as one likes: `make fuzz`."""
