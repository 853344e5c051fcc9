"""Log lines: one line per event, key=value, safe to print."""

import json
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def fields(event: str, **values: object) -> str:
    """Write one event as a log line: `loaded key=raw/a.csv rows=3`.

    A text is written as it is, or as a JSON string where a space, a quote, `=` or a character that does not print is in
    it. So every text can be read back exactly, and none of them ends the line or turns it around.
    """
    return " ".join([event, *(f"{name}={_word(value)}" for name, value in values.items())])


def _word(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    plain = text.isprintable() and text and not any(character in ' "=' for character in text)
    return text if plain else printable(json.dumps(text, ensure_ascii=False))


def printable(text: str, keep: str = "") -> str:
    """Escape what does not print, as JSON does: control characters, line ends, and what turns the direction of text."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _ESCAPES.get(one) or _escaped(one) for one in text)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


class _Formatter(logging.Formatter):
    """Writes times in UTC, and lets no line of anybody steer the terminal; the lines of a traceback stay."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def configure_logging() -> None:
    """Send log lines to stderr as `2026-01-31T12:00:00Z INFO pipeline.service.workers loaded key=…`."""
    formatter = _Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level="INFO", handlers=[handler])
    # A client of the store warns of each try that failed; our own lines tell of a store that is away, once.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
