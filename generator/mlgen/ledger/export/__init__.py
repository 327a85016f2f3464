"""A ledger in the forms of others: OpenLineage events, in-toto statements, tables. Each is made as it is read."""
