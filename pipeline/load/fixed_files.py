"""Load fixed files: the column of marks is read as a field of the contract, and is no column of the clean rows."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from common.logs import fields
from lake.mending import MENDS, Mark, Mends, fixed_dialect, last_mark, read_mark
from pipeline.model.contract import Contract
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec
from pipeline.model.problem import VALUE_LIMIT, Problem, Refused
from pipeline.readers.base import Batch

MAX_MARKS = 100_000  # of one file that are kept: more than a person corrects

log = logging.getLogger(__name__)


def with_marks(contract: Contract) -> Contract:
    """Return a contract with one more field, the marks, and the dialect of a file that has them."""
    dialect = fixed_dialect(contract.dialect.model_dump(exclude_unset=True, by_alias=True))
    marked = (*contract.fields, FieldSpec(name=MENDS))
    return replace(contract, fields=marked, dialect=Dialect.model_validate(dialect))  # a copy would have caches


@contextmanager
def seekable(stream: BinaryIO, place: Path | None) -> Iterator[BinaryIO]:
    """Return a stream that can be read again: the stream itself, or a copy beside `place`."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile(dir=place and place.parent) as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield cast(BinaryIO, copy)


@dataclass
class Marks:
    """The marks of one fixed file, batch by batch; `mends` is None if the file has no column of marks."""

    key: str
    mends: Mends | None = None
    _left: int = field(default_factory=lambda: MAX_MARKS)
    _seen: set[Mark] = field(default_factory=set)

    def batches(self, read: Callable[..., Iterator[Batch]], stream: BinaryIO, contract: Contract) -> Iterator[Batch]:
        """Read a file with the column of marks, or by the contract alone if its header has no such column."""
        try:
            for batch in read(stream, contract=with_marks(contract)):
                yield self._take(batch)
        except Refused as refusal:
            if self.mends or refusal.problem.rule != "header" or MENDS in (refusal.problem.raw or ""):
                raise
            stream.seek(0)
            yield from read(stream, contract=contract)

    def _take(self, batch: Batch) -> Batch:
        """Return a batch without its marks, which are kept."""
        self.mends = self.mends or Mends()
        for mark in map(read_mark, batch.rows[MENDS].to_pylist()):
            if mark and mark not in self._seen and self._has_room():
                self._seen.add(mark)
                self.mends.passed.setdefault(mark[1], []).append(mark[0])
        return replace(batch, rows=batch.rows.drop_columns([MENDS]), problems=self._marked(self.mends, batch))

    def _marked(self, mends: Mends, batch: Batch) -> Iterator[Problem]:
        """Yield the problems of a batch, and keep the mark of each rejected record whose text is not cut."""
        line = None
        for problem in batch.problems:
            if problem.line != line and len(problem.raw or "") < VALUE_LIMIT:
                line = problem.line
                mark = last_mark(problem.raw or "")
                if mark and line and self._has_room():
                    mends.rejected.setdefault(mark[1], []).append([mark[0], line])
            yield problem

    def _has_room(self) -> bool:
        self._left -= 1
        if self._left == -1:
            action = "put back fewer records in one file"
            log.warning(fields("marks not kept", key=self.key, kept=MAX_MARKS, action=action))
        return self._left >= 0

    @property
    def kept(self) -> dict[str, Any] | None:
        """The marks for the load record."""
        return vars(self.mends) if self.mends else None
