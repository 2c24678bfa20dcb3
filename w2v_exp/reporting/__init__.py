"""Pictures and tables of runs and sweeps."""
