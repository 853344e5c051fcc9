"""The running pipeline: listen, reconcile, load, publish."""
