"""Commands that the Pipeline page shows, ready to copy."""

import shlex

LAUNCH_ONE_FILE = "Pipeline (one file)"  # the launch entry that asks for a key


def replay(*what: str, remote: bool) -> str:
    """Return the command that loads files again; `what` are keys or options, `remote` means the stack's pipeline."""
    python = "docker compose exec pipeline python" if remote else ".venv/bin/python"
    return f"{python} -m pipeline replay {shlex.join(what)}"


def debug(source_key: str) -> str:
    """Return the command that reads one file under any debugger; it installs debugpy first if necessary."""
    return f"make debug KEY={shlex.quote(source_key.replace('$', '$$'))}"
