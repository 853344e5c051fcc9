"""The commands that a page tells its reader, ready to copy."""

import shlex

DEBUG = "PIPELINE_WORKERS=0 .venv/bin/python -m debugpy --listen 5678 --wait-for-client -m pipeline run"


def replay(url: str, *what: str) -> str:
    """Give the command that loads files again where the lake at `url` has its pipeline; `what` are keys or options."""
    stack = "docker compose exec pipeline python" if "://" in url else ".venv/bin/python"
    return f"{stack} -m pipeline replay {shlex.join(what)}"


def breakpoint_condition(source_key: str) -> str:
    """Give the condition with which a breakpoint in `pipeline/load.py` stops for one file alone."""
    return f"task.source_key == {source_key!r}"
