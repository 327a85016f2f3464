"""Whether a ledger is what its writers made it: every commit, every file, and what was known of it before."""
