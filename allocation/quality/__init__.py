"""Truth inference: votes, EM models, online posterior, stopping, certificate."""
