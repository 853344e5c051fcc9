"""The ledger in SQLite: the queue of loads, the memory of their results, and what is published of it."""
