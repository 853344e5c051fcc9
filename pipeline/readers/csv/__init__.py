"""The CSV reader: decode, split, validate, and explain what is rejected."""
