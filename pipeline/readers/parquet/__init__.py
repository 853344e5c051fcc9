"""Parquet as a source: the types of its columns, their cells as text, and the two readers."""
