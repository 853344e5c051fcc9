"""CSV to Parquet, by event: what lands under `raw/` is loaded once per version, exactly."""
