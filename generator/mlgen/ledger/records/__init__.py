"""What a file of the ledger says: tasks, runs and others' events, as values and as bytes."""
