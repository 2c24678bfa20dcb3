"""The record of runs: journals, MLflow stores, and progress bars."""
