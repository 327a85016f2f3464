"""Search: which values a trial is given, and when it should stop, as functions of what was told. No store, no clock."""
