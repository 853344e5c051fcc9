"""Bounds of what a message says: of a long text or list the beginning, and how much more there is."""

from collections.abc import Sequence

TEXT_LIMIT = 200  # characters of a value, name or pattern in a message
LIST_LIMIT = 600  # characters of a list in a message


def shortened(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text for a message: of a long one the first characters, and how many it has."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def listed(values: Sequence[object], separator: str = ", ", limit: int = LIST_LIMIT) -> str:
    """Return a list for a message: of a long one the first values, each shortened, and how many more there are."""
    shown, size = list[str](), 0
    for value in values:
        text = shortened(str(value))
        size += len(text) + len(separator)
        if shown and size > limit:
            return f"{separator.join(shown)}{separator}… ({len(values) - len(shown):,} more)"
        shown.append(text)
    return separator.join(shown)
