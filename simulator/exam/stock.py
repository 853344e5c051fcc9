"""Files of the dataset stock, whose contract has a key, a limit on rejects, and takes columns that come and go."""

from simulator.exam.case import Answer, Draw, File, Kind, Sheet, cells, record, sheet

MOST = 3  # rejects of a file, by its contract


def _twice(draw: Draw) -> File:
    """Repeat the key of some records: each of these is rejected, once or up to the limit."""
    whole, picked = sheet(draw), sorted(draw.picked())[:MOST]
    for number, row in enumerate(draw.rows):
        whole.keep(row)
        if number in picked:
            again = row | {"units": str(draw.chance.randrange(100))}
            whole.reject(record(cells(again)), (None, "primaryKey"))
    return whole.file()


def _too_many(draw: Draw) -> File:
    """Spoil one record more than the contract allows: the file is refused, and its problems are told."""
    whole, picked = sheet(draw), set(draw.chance.sample(range(len(draw.rows)), MOST + 1))
    for number, row in enumerate(draw.rows):
        if number in picked:
            whole.reject(record(cells(row | {"units": "many"})), ("units", "type"))
        else:
            whole.keep(row)
    return File(draw.dataset, ".csv", [bytes(whole.data)], Answer("refused", "rejects", rejected=whole.rejected))


def _other_columns(draw: Draw) -> File:
    """Write the columns in another order, with one that the contract does not know, maybe without one of its own."""
    names = ["article", "store", "units", "Remark", *draw.chance.choice([["supplier"], []])]
    draw.chance.shuffle(names)
    whole = Sheet(draw)
    whole.write(record(names))
    for row in draw.rows:
        text = cells(row | {"Remark": draw.chance.choice(["", "new", "a, b"])})
        whole.keep(row, record([text[name] for name in names]))
    return whole.file()


STOCK_KINDS: dict[str, Kind] = {
    "key that is there twice": Kind(_twice, ("stock",)),
    "too many rejects": Kind(_too_many, ("stock",)),
    "columns come and go": Kind(_other_columns, ("stock",)),
}
