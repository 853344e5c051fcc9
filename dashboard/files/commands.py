"""The commands that a page tells its reader, ready to copy."""

import shlex

LAUNCH_ONE_FILE = "Pipeline (one file)"  # the launch entry that asks for a key


def replay(url: str, *what: str) -> str:
    """Give the command that loads files again where the lake at `url` has its pipeline; `what` are keys or options."""
    stack = "docker compose exec pipeline python" if "://" in url else ".venv/bin/python"
    return f"{stack} -m pipeline replay {shlex.join(what)}"


def debug(source_key: str) -> str:
    """Return the command that reads one file under any debugger; it installs the debugger first where it is missing."""
    return f"make debug KEY={shlex.quote(source_key.replace('$', '$$'))}"
