"""Execution of the runs of a sweep on cores, in processes, or on the machines of a cluster."""
