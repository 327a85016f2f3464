"""Runs that take up an earlier one: what of it is known, what runs again, and from which arguments."""
