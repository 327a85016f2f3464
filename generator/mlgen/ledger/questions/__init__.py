"""What people ask of a ledger: which runs there were, how they differ, where an artifact came from."""
