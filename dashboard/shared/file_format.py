"""Encoding, dialect and headers of a dataset's files, as in its published summary."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Format:
    """The file format in a dataset's contract; an empty delimiter means unknown.

    `headers` maps a field to its header in the file, and its number among the columns with that header. It has only the
    fields whose header is not their name.
    """

    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    headers: Mapping[str, tuple[str, int]] = field(default_factory=dict)


UNKNOWN = Format()  # where the pipeline did not publish it
