"""Queues of questions under one closed load: Muster's shard and what one would build instead."""
