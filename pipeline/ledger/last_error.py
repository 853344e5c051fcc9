"""Reason why the last pipeline of a state folder ended by an error."""

import json
from datetime import datetime
from pathlib import Path

REASON = "problem.json"  # in the state folder: why the pipeline ended, until one has got through its start


def last_reason(state: Path) -> dict[str, str] | None:
    """Return when and why the last pipeline of `state` ended by an error; None where one has started well since."""
    try:
        reason = json.loads((state / REASON).read_text())
        datetime.fromisoformat(reason["at"])
        return {"at": reason["at"], "text": str(reason["text"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
