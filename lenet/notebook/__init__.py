"""Notebooks: what a cell shows, and a page of the documentation as a notebook."""
