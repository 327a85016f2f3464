"""mlgen: machine-learning pipelines as reviewed specs, rendered to plain Tekton, recorded in Git."""

__version__ = "0.1.0"
