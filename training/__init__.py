"""Learning from the crowd: snapshots, recipes, training, promotion."""
