"""Running jobs: which process drives which job, and what starts it again."""
