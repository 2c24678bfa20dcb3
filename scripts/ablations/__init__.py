"""What `scripts/ablation.py` tries: the exact softmax without each of its choices, and with other optimizers."""
