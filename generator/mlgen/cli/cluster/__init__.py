"""Runs in a cluster, for those who asked for them: created, followed, their logs, and what became of them."""
