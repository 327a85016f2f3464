"""What `mlgen lsp` is beside its verb: an editor's files, its session, the protocol."""
