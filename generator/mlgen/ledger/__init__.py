"""What happened, kept in Git: records, the spool they wait in, the fold that lands them, and the answers from them."""
