"""What a run tells the world: MLflow, memory, progress."""
