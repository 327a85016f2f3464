"""CEL as Kubernetes has it: Google's parser and checker, our evaluation (decision 0022)."""
