"""What executions made, taken again instead of made again (decision 0033)."""
