"""Readers: from the bytes of a source to typed rows and problems. `formats.py` has the table of formats."""
