"""Cluster: loads on many machines, by the workers of a Dask scheduler."""
