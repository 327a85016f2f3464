"""Tasks on several nodes: what each is told, and in a cluster how its pods meet and end together (decision 0041)."""
