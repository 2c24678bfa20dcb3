"""How the runs of a sweep are spread: over cores, processes, machines."""
