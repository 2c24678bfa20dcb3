"""From ids to what a training step eats: pairs, their order, their labels, batches."""
