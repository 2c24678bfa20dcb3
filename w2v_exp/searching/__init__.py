"""Search: Optuna proposes the runs of a sweep from the results of earlier ones."""
