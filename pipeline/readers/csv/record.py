"""Split one record into its cells in the simplest way."""

from pipeline.model.data_resource import Dialect


def split_record(raw: bytes, dialect: Dialect) -> list[bytes]:
    """Split a record whose quotes are in order into its cells, unquoted."""
    mark, between = dialect.quoteChar.encode(), dialect.delimiter.encode()
    cells, at = [], 0
    while True:
        if raw.startswith(mark, at):
            stop = at + 1
            while (stop := raw.index(mark, stop)) + 1 < len(raw) and raw.startswith(mark, stop + 1):
                stop += 2
            cells.append(raw[at + 1 : stop].replace(mark * 2, mark))
            at = stop + 1
        else:
            stop = raw.find(between, at)
            cells.append(raw[at : stop if stop >= 0 else len(raw)])
            at = stop if stop >= 0 else len(raw)
        if at >= len(raw):
            return cells
        at += 1
