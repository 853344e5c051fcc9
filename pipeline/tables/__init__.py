"""Each dataset as two Delta tables, its clean rows and its problems, which any engine reads."""
