"""Interval and expiry of the heartbeat with which a pipeline keeps its lease of a lake."""

HEARTBEAT_SECONDS = 5.0  # between two heartbeats: each is a version of an object, in a bucket that keeps versions
EXPIRES_SECONDS = 15.0  # without a heartbeat, until a pipeline counts as dead
