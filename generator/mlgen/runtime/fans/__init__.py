"""Tasks that run many times: what pods and readers know of their items (decision 0031)."""
