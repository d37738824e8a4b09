"""Other people's programs, run as they were written."""
