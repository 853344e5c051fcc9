"""Keys that must be unique within a file: a stage over the batches of any reader."""
