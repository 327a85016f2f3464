"""A file a verb: read arguments, call one function below, print, choose the exit code."""
