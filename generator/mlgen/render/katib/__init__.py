"""Searches for those who have Katib: an Experiment instead of a part of a Tekton Pipeline (decision 0032)."""
