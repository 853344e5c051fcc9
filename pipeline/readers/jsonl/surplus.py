"""Keys that the contract does not know: as the text of `_more`, and as the drift of a file."""

import json
from collections.abc import Iterable

from common.messages import shortened
from lake.mending import MENDS
from pipeline.model.contract import Contract
from pipeline.readers.csv.header import bare_name, differences
from pipeline.readers.jsonl.record import Value, not_text, pairs_of

SURPLUS = 1000  # keys of a file that are remembered


class Keys:
    """Keys of objects in the order in which they are met, and of those that the contract does not know the first ones.

    There is one more of these than are remembered, if there are more. So memory is bounded, and keys of parts of a file
    that are joined are those of the whole.
    """

    def __init__(self, contract: Contract) -> None:
        self._fields = [field for field in contract.fields if field.name != MENDS]
        self._known = {field.heading.text for field in contract.fields}
        self._lines = dict[str, int]()  # where each key was met first
        self._surplus, self._met = 0, False

    def add(self, line: int, keys: Iterable[str]) -> "Keys":
        """Add the keys of the object in a line; lines come in their order."""
        self._met = True
        for key in keys:
            if key in self._lines:
                continue
            known = key in self._known
            name = key if known else shortened(key)
            if name not in self._lines and (known or self._surplus <= SURPLUS):
                self._lines[name] = line
                self._surplus += not known
        return self

    def join(self, *others: "Keys") -> None:
        """Add the keys of later lines, of which some may be in one, and others in another."""
        self._met = self._met or any(keys._met for keys in others)
        found = (item for keys in others for item in keys._lines.items())
        for key, line in sorted(found, key=lambda item: item[1]):
            self.add(line, [key])

    @property
    def drift(self) -> str | None:
        """Difference of the objects from the contract, in words; None if there is no difference, or no object."""
        surplus = [repr(key) for key in self._lines if key not in self._known]
        missing = [bare_name(field.heading) for field in self._fields if field.heading.text not in self._lines]
        return differences(surplus, missing, more=len(surplus) > SURPLUS) if self._met else None


def more_of(raw: bytes, contract: Contract) -> str | None:
    """Return the members of a line that the contract does not have, as they are written; None if there are none."""
    try:
        pairs = pairs_of(raw)
    except ValueError:
        return None
    names = {field.heading.text for field in contract.fields}
    members = [f"{_quoted(key)}: {_written(value)}" for key, value in pairs if key not in names]
    return f"{{{', '.join(members)}}}" if members else None


def _written(value: Value) -> str:
    return _quoted(value.text) if value.kind == "string" else value.text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=bool(not_text(text)))
