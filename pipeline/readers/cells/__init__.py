"""Cells of any format: their types, their checks, and the reasons why one is rejected."""
