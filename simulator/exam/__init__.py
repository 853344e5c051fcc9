"""The exam: files with known outcomes, and their grade."""
