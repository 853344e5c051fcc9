"""A dataset: its contract, its transform, its output schema; and the draft of a new contract."""
