"""From the spool to the branch: what waits, whose turn it is, what lands, what never can."""
