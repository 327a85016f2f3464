"""A project as commands work on it: its files, now or at a commit, its specs, environments and sources."""
