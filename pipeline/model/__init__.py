"""Data that passes between the rooms of the pipeline: contracts, problems, tasks, load records, exact sums; no I/O."""
