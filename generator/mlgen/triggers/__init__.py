"""Events that start pipelines: which do, what their runs are called and given; one rule, in Python and in CEL."""
