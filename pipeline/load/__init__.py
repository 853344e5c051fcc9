"""Load one version of a source: read, transform, write, put."""
