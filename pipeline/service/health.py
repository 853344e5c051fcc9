"""Health of a state folder's pipeline: it is alive if it has got through its start and its heartbeat moves.

`python -m pipeline.service.health STATE` asks. A pipeline that ended by an error has left the reason in a file.

It runs by itself too, because a container asks every few seconds, and the whole command line loads Arrow and pandas.
"""

import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from lake.heartbeat import EXPIRES_SECONDS
from pipeline.ledger.last_error import last_reason


def problem(state: Path) -> str:
    """Return why the pipeline of `state` does not count as alive; empty if it does."""
    if reason := last_reason(state):
        return f"the pipeline of {state} ended at {reason['at']}: {reason['text']}"
    ledger = state / "ledger.sqlite"
    if not ledger.exists():
        return f"PIPELINE_STATE: there is no ledger in {state}: start a pipeline with `python -m pipeline run`"
    try:
        with closing(sqlite3.connect(ledger, timeout=2)) as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'writer'").fetchone()
    except sqlite3.Error as error:
        return f"PIPELINE_STATE: the ledger in {state} cannot be read: {error}"
    writer = json.loads(row[0]) if row else None
    if not writer:
        return f"no pipeline works with {state}"
    age = (datetime.now(UTC) - datetime.fromisoformat(writer["heartbeat_at"])).total_seconds()
    if age > EXPIRES_SECONDS:
        return f"the pipeline of {state} has had no heartbeat for {age:.0f} s"
    starting = writer.get("state") == "starting"
    return f"the pipeline of {state} is starting: it has not listed the lake yet" if starting else ""


if __name__ == "__main__":
    sys.exit(problem(Path(sys.argv[1])) or None)
