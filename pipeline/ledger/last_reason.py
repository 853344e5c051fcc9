"""Why the last pipeline of a state folder ended by an error."""

import json
from pathlib import Path

REASON = "problem.json"  # in the state folder: why the pipeline ended, until one has got through its start


def last_reason(state: Path) -> dict[str, str] | None:
    """Return when and why the last pipeline of `state` ended by an error; None where one has started well since."""
    try:
        reason = json.loads((state / REASON).read_text())
        return {name: str(reason[name]) for name in ("at", "text")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
