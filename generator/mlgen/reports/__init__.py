"""Findings in the forms that hosts and programs read: one model, a file for each form. No file, no environment."""
