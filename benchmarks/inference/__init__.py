"""The sides of `benchmarks.truth`: what is labelled, how well, and how fast."""
