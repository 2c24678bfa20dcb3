"""Search instead of a grid: Optuna proposes the runs of a sweep, one by those before it."""
