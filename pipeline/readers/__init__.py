"""One CSV stream to typed blocks of rows, or to the reason why it cannot be loaded."""
