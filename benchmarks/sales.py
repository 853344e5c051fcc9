"""The file that the bulk benchmarks read: sales of a shop by seed, all sound or with bad records of many kinds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

SEED = 7
PIECE = 10_000  # rows
HEADER = b"id,sold_at,due,customer,city,product,country,quantity,price,paid\n"
COUNTRIES = ("AT", "CH", "DE", "FR", "IT", "NL", "PL", "SE")
CITIES = ("Springfield", "Riverton", '"Lakeside, North"', '"Lakeside, South"', "Fairview", "Bad Aussee")
PRODUCTS = ('"Monitor 27"" curved"', "Cable HDMI 2m", "Keyboard without numbers", '"Shelf, 80 cm"', "Lamp")

# Each breaks one rule that a reader could find, and leaves the records around it alone: peers end at a stray quote,
# which is measured in growth.py. `{id}` is filled in.
BAD = (
    "{id}x,2026-01-31T12:00:00Z,2026-02-28,Ann Other 1,Riverton,Lamp,AT,1,1.50,true",
    "{id},2026-02-30T12:00:00Z,2026-02-28,Ann Other 2,Riverton,Lamp,AT,1,1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-30,Ann Other 3,Riverton,Lamp,AT,1,1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,,Riverton,Lamp,AT,1,1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 5,Riverton,Lamp,XX,1,1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 6,Riverton,Lamp,AT,0,1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 7,Riverton,Lamp,AT,many,-1.50,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 8,Riverton,Lamp,AT,1,n/a,true",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 9,Riverton,Lamp,AT,1,1.50,maybe",
    "{id},2026-01-31T12:00:00Z,2026-02-28,Ann Other 10,Riverton,Lamp,AT,1",
)


def pieces(rows: int, bad: float) -> Iterator[bytes]:
    """Yield the file of so many records, `bad` of them (as a share) not sound, in pieces."""
    chance = np.random.default_rng(SEED)
    yield HEADER
    for start in range(0, rows, PIECE):
        count = min(PIECE, rows - start)
        seconds = np.datetime64("2026-01-01T00:00:00") + chance.integers(0, 360 * 86_400, count)
        columns = (
            range(start + 1, start + count + 1),
            np.datetime_as_string(seconds).tolist(),
            np.datetime_as_string(seconds.astype("M8[D]") + 30).tolist(),
            chance.integers(0, 1_000_000, count).tolist(),
            chance.integers(0, len(CITIES), count).tolist(),
            chance.integers(0, len(PRODUCTS), count).tolist(),
            chance.integers(0, len(COUNTRIES), count).tolist(),
            chance.integers(1, 100, count).tolist(),
            chance.integers(1, 100_000, count).tolist(),
            chance.integers(0, 2, count).tolist(),
            (chance.random(count) < bad).tolist(),
        )
        yield "".join(map(_record, *columns)).encode()


def _record(number: int, at: str, due: str, *rest: int) -> str:
    who, city, product, country, count, cents, paid, bad = rest
    if bad:
        return BAD[number % len(BAD)].format(id=number) + "\n"
    words = f"Customer no. {who:07},{CITIES[city]},{PRODUCTS[product]},{COUNTRIES[country]}"
    price = f"{cents // 100}.{cents % 100:02}"
    return f"{number},{at}Z,{due},{words},{count},{price},{'true' if paid else 'false'}\n"


def write(path: Path, rows: int, bad: float) -> None:
    """Write the file where it is not there yet."""
    if not path.exists():
        with path.with_suffix(".part").open("wb") as file:
            file.writelines(pieces(rows, bad))
        path.with_suffix(".part").replace(path)
