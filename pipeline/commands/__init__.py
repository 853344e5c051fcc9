"""The commands of `python -m pipeline` that load nothing, and what commands show."""
