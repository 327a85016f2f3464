"""Policies as `check` and `policy test` use them: what is judged, by which rules, and where its cause is written."""
