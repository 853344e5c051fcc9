"""The Pipeline page: backlog, latency and loads."""
