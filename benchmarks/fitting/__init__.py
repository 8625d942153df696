"""The sides of `benchmarks.train` and `benchmarks.tune`: what is learnt from, and by whom."""
