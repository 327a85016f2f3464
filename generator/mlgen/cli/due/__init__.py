"""`mlgen run --due`: what a schedule asks for is started, by whoever calls this from time to time."""
