"""What an editor shows: hover, completion, definitions, renames; and the schemas and reference it links to. Pure."""
