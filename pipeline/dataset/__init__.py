"""Datasets: contract, transform, output schema; and the draft of a new contract."""
