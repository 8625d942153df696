"""The same texts through the same weights: by a bare loop, by Muster, and by what others use."""
