"""How often a pipeline renews its lease of a lake, and when the lease expires."""

HEARTBEAT_SECONDS = 5.0  # between two heartbeats: each is a version of an object, in a bucket that keeps versions
EXPIRES_SECONDS = 15.0  # without a heartbeat, until a pipeline counts as dead
