"""A pipeline run for each date of a range: which dates, which runs there are already, and those that are left."""
