"""The data of the source system: pure functions from a seed to the bytes of a CSV file."""

import csv
import functools
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from faker import Faker

COMPANYDATA = ("Month", "Dept", "Store", "Sold", "Returned", "Ordered")
MONTHS = ("1-Jan", "1-Feb", "1-Mar", "1-Apr")
DEPARTMENTS = ("Bakery", "Dairy", "Produce")
STORES = ("North", "South")

ORDERS = (
    *("order_id", "ordered_at", "customer", "email", "country"),
    *("product", "quantity", "unit_price", "discount", "total"),
)
LOCALES = {"de_DE": "DE", "en_GB": "GB", "en_US": "US", "es_ES": "ES", "fr_FR": "FR", "ja_JP": "JP", "pl_PL": "PL"}
CUSTOMERS_PER_COUNTRY = 40
PRODUCTS = 60
THINGS = (
    *("backpack", "desk lamp", "keyboard", "mug", "notebook", "umbrella", "water bottle"),
    *("cable, 2 m", "socks, pair", 'poster "Lakes of the North"', 'screen, 27"'),  # what a CSV file has to quote
)
DISCOUNTS = (5, 10, 15, 20, 25)  # per cent
FIRST_ORDER = datetime(2026, 1, 1, tzinfo=UTC)  # not the clock: the same seed gives the same bytes
SECONDS = 300 * 24 * 3600  # of time that the orders spread over


@dataclass(frozen=True, slots=True)
class _Shop:
    """Customers and products of the web shop."""

    customers: Sequence[tuple[str, str, str]]  # name, e-mail, country
    products: Sequence[tuple[str, int]]  # name, price in cents


def companydata(seed: int) -> bytes:
    """Write 24 rows, 4 months of 3 departments in 2 stores, in the shape of the workshop's file."""
    rng = Random(seed)
    return _csv(
        COMPANYDATA,
        (
            (month, department, store, rng.randint(50, 290), rng.randint(0, 50), rng.randint(0, 100))
            for month in MONTHS
            for department in DEPARTMENTS
            for store in STORES
        ),
    )


def orders(seed: int, rows: int, number: int = 0) -> bytes:
    """Write `rows` orders of a web shop: file `number` of the many that a seed gives, order ids unique over all."""
    shop, rng = _shop(seed), Random(f"{seed}/{number}")
    # An id has 20 characters at most, so the number starts again after a million files: those are long overwritten.
    stem = f"{seed & 0xFFFF:04X}-{number % 1_000_000:06d}-"
    return _csv(ORDERS, ((f"{stem}{row:07d}", *_order(shop, rng)) for row in range(rows)))


DATASETS: dict[str, Callable[[int, int, int], bytes]] = {  # from seed, rows and number to a file
    "orders": orders,
    "companydata": lambda seed, _, number: companydata(seed + number),
}


def _order(shop: _Shop, rng: Random) -> tuple[object, ...]:
    ordered_at = FIRST_ORDER + timedelta(seconds=rng.randrange(SECONDS))
    name, email, country = rng.choice(shop.customers)
    product, cents = rng.choice(shop.products)
    quantity = min(rng.randint(1, 9), rng.randint(1, 9))
    percent = rng.choice(DISCOUNTS) if rng.random() < 0.2 else 0
    total = (quantity * cents * (100 - percent) + 50) // 100  # whole cents, half up: floats would miss some
    discount = f"{percent / 100}" if percent else ""
    when = f"{ordered_at:%Y-%m-%dT%H:%M:%SZ}"
    return when, name, email, country, product, quantity, _money(cents), discount, _money(total)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


@functools.lru_cache(maxsize=8)
def _shop(seed: int) -> _Shop:
    """Make the shop once per seed: Faker is a hundred times slower than drawing from its results."""
    rng = Random(seed)
    customers = [customer for locale in LOCALES for customer in _customers(locale, rng)]
    fake = _faker("en_US", rng)
    return _Shop(customers, [_product(fake, rng) for _ in range(PRODUCTS)])


def _customers(locale: str, rng: Random) -> list[tuple[str, str, str]]:
    fake = _faker(locale, rng)
    return [
        (fake.name(), fake.ascii_safe_email() if rng.random() < 0.9 else "", LOCALES[locale])
        for _ in range(CUSTOMERS_PER_COUNTRY)
    ]


def _product(fake: Faker, rng: Random) -> tuple[str, int]:
    return f"{fake.color_name()} {rng.choice(THINGS)}", rng.randint(199, 19_999)


def _faker(locale: str, rng: Random) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(rng.getrandbits(32))
    return fake


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
