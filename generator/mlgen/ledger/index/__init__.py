"""An SQLite index of a ledger: derived, keyed by the ledger's commit, thrown away and built again at will."""
