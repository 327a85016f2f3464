"""The verbs of `mlgen ledger`, and the ledger of an environment as the other commands use it."""
