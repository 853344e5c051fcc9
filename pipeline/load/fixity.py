"""Compare the bytes of a source with the size and the hash that its contract has for it."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.model.descriptive import Fixity
from pipeline.model.problem import Problem, Refused

CHUNK = 1 << 20  # bytes that are read at a time


@contextmanager
def checked(
    stream: BinaryIO, source_key: str, size: int, fixity: Fixity | None, place: Path | None
) -> Iterator[BinaryIO]:
    """Yield a stream of the same bytes, after they were compared; `Refused` if the source is not what was expected.

    Args:
        stream: of the source, at its start; one that cannot go back is copied to a file beside `place`.
        source_key: key of the source.
        size: of the source, in bytes.
        fixity: what its contract says, which may be of another file.
        place: where the results of the source are staged.
    """
    if fixity is None or not fixity.applies(source_key):
        yield stream
        return
    if fixity.size not in (None, size):
        raise Refused(Problem("bytes", f"the file has {size:,} bytes: the contract expects {fixity.size:,} {_WAY_OUT}"))
    if fixity.digest is None:
        yield stream
        return
    with tempfile.TemporaryFile(dir=place and place.parent) as copy:
        source = stream if stream.seekable() else cast(BinaryIO, copy)
        if source is not stream:
            shutil.copyfileobj(stream, copy, CHUNK)
            source.seek(0)
        _compare(source, fixity)
        source.seek(0)
        yield source


_WAY_OUT = "for a file of this name; put the right file, or correct the contract"


def _compare(stream: BinaryIO, fixity: Fixity) -> None:
    digest = hashlib.new(fixity.algorithm, usedforsecurity=False)
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != fixity.digest:
        found = f"the file's {fixity.algorithm} is {digest.hexdigest()}"
        raise Refused(Problem("hash", f"{found}: the contract expects {fixity.digest} {_WAY_OUT}"))
