"""What runs beside a task: stage-in, stage-out, the results sidecar, the final record. Starts fast, imports little."""
