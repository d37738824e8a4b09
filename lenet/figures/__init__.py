"""Matplotlib: every picture that the package draws."""
