"""Log lines: one line per event, key=value, safe to print."""

import json
import logging
import re
import time

_PLAIN = re.compile(r'[^ "=]+')
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def fields(event: str, **values: object) -> str:
    """Format one event as a log line: `loaded key=raw/a.csv rows=3`.

    A text is written as it is, or as a JSON string if it has a space, a quote, `=` or an unprintable character. So
    every text can be read back exactly, and no text can end the line or change its direction.
    """
    line = event
    for name, value in values.items():
        line += f" {name}={_word(value)}"
    return line


def _word(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) and text.isprintable() else printable(json.dumps(text, ensure_ascii=False))


def printable(text: str, keep: str = "") -> str:
    """Escape unprintable characters as JSON does: control characters, line ends, and changes of direction."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _ESCAPES.get(character) or _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


class _Formatter(logging.Formatter):
    """Write times in UTC and escape what could steer a terminal; the lines of a traceback stay."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def configure_logging() -> None:
    """Send log lines to stderr as `2026-01-31T12:00:00Z INFO pipeline.service.outcomes loaded key=…`."""
    formatter = _Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level="INFO", handlers=[handler])
    # This client warns of each failed attempt; the programs log each outage once.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
