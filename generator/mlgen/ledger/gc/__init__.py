"""Which bytes no kept run needs, and letting them go."""
