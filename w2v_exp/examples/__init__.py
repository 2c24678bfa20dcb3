"""From ids to batches: pairs, their labels, and their order."""
