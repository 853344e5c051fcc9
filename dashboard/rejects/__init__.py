"""The Rejects page."""
