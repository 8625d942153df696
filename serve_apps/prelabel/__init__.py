"""Pre-labelling: models behind a small seam, chunks in, predictions out, poison items set aside."""
