"""Plan → manifests: plain Tekton objects as data, then as bytes, then as files."""
