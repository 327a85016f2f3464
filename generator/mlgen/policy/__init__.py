"""evaluates `policies/*.yaml` on manifests, as the API server would; returns verdicts with places in the policy."""
