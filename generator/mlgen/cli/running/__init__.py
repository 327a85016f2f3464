"""`mlgen run`, by its parts: what was asked for, a run here, a run in a cluster, and what is told of it."""
