"""Workloads and measurements of `scripts/benchmark.py`."""
