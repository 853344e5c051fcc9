"""How the files of a dataset are written, as its published summary says."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Format:
    """How a dataset's files are written, as its contract says; without a delimiter it is not known.

    `headers` has what a file calls a column, and which it is of those with this name, where that is not its own name.
    """

    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    headers: Mapping[str, tuple[str, int]] = field(default_factory=dict)


UNKNOWN = Format()  # of a pipeline that did not publish it
