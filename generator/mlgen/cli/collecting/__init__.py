"""What `mlgen gc` is beside its verb: what is marked, what is swept, and how that is told."""
