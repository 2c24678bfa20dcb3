"""Parameters, and objectives: cost and gradients of a batch."""
