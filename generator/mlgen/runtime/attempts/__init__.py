"""From one attempt of a task to the next: whether, when, and with which checkpoint (decision 0035)."""
