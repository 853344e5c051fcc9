"""Health of Spark's master and workers, as the master's page sees it: its workers send it a heartbeat.

python health.py master: it has a worker that is alive.
python health.py worker: the worker on this machine is alive.
"""

import json
import socket
import sys
import urllib.request

STATE = "http://spark:8080/json/"
TIMEOUT = 8  # seconds


def main() -> int:
    """Return the exit code: 0 for a part that works."""
    with urllib.request.urlopen(STATE, timeout=TIMEOUT) as answer:
        master = json.load(answer)
    alive = {worker["host"] for worker in master["workers"] if worker["state"] == "ALIVE"}
    if sys.argv[1:] == ["worker"]:
        alive &= {socket.gethostbyname(socket.gethostname())}
    return 0 if master["status"] == "ALIVE" and alive else 1


if __name__ == "__main__":
    sys.exit(main())
