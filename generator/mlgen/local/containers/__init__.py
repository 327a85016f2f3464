"""Tasks in the images they declare, by Docker or Podman on this machine (decision 0040)."""
