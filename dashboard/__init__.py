"""The dashboard: shows what the pipeline published, live, and never writes."""
