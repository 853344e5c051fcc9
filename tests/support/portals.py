"""Files in the style of public portals, invented: as they are handed out, with what is above, below and in the cells.

The .xls is a file beside this module, for no library of ours writes one: `make_price_list` says how it was made.
"""

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
Edit = tuple[tuple[str | int, ...], Any]  # the place of a property in the contract, and its value


@dataclass(frozen=True)
class Portal:
    """File of a portal, the edits by hand that its draft needs, and what is in it then.

    Attributes:
        name: of the file.
        content: of the file.
        rows: that are good.
        first: values of the first row, by column.
        edits: of the draft, at most two.
        rejected: the lines that are wrong in the file itself.
        sums: of columns, to the last digit.
    """

    name: str
    content: bytes
    rows: int
    first: Mapping[str, Any]
    edits: tuple[Edit, ...] = ()
    rejected: tuple[int, ...] = ()
    sums: Mapping[str, Any] = field(default_factory=dict)


def spending() -> Portal:
    """Payments over 500 pounds: a title, a blank line, two-digit years, amounts with a sign and a total."""
    lines = [
        "Anytown Borough Council,,,,,",
        "Payments to suppliers over £500: May 2025,,,,,",
        "",
        "Department,Date,Reference,Supplier,Amount,Purpose",
        'Highways,16/5/25,00017,"Smith & Sons, Ltd","£63,124.71",Resurfacing',
        "Libraries,2/5/25,00018,Page Turner plc,£510.00,Books",
        'Highways,30/5/25,00019,"O\'Neill ""Roads"" Ltd","£1,020.50",Signs',
        "Parks,7/5/25,00020,REDACTED,£999.99,Seeds",
        'TOTAL,,,,"£65,655.20",',
    ]
    content = "\r\n".join([*lines, ""]).encode("cp1252")
    first = {"Department": "Highways", "Date": dt.date(2025, 5, 16), "Reference": "00017", "Amount": 63124.71}
    return Portal("council_spend_2025.csv", content, 4, first)


def timetable() -> Portal:
    """Trains of a day: a space before each quote, times with AM and PM, platforms that are no numbers."""
    lines = [
        '"train", "from", "to", "departs", "arrives", "platform"',
        '"IC 101", "Anytown", "Port, Old", "3:07 PM", "4:01 PM", "2"',
        '"IC 103", "Anytown", "Port, Old", "11:55 PM", "12:48 AM", "2a"',
        '"S 7", "Port, Old", "Anytown", "6:30 AM", "7:41 AM", "10"',
    ]
    first = {"to_": "Port, Old", "departs": dt.time(15, 7), "arrives": dt.time(16, 1), "platform": "2"}
    return Portal("timetable.csv", "\n".join([*lines, ""]).encode(), 3, first)


def election() -> Portal:
    """Results by district, tabs between: percentages, thousands, a dash where a party did not stand, a total."""
    lines = [
        "district\tregistered\tvotes\tturnout\tUnity\tForward",
        "001\t12,345\t9,876\t80.0 %\t5,000\t4,876",
        "002\t8,010\t4,005\t50.0 %\t4,005\t-",
        "003\t20,001\t12,000\t60.0 %\t-\t12,000",
        "TOTAL\t40,356\t25,881\t64.1 %\t9,005\t16,876",
    ]
    first = {"district": "001", "registered": 12345, "turnout": 80.0, "Unity": 5000}
    return Portal("election_results.tsv", "\n".join([*lines, ""]).encode(), 3, first, sums={"votes": 25881})


def weather() -> Portal:
    """Observations of a station: comments, a line of units, decimal commas, stars for what is missing."""
    lines = [
        "# Station: Old Port (WMO 99999); height 12 m",
        "# Quality: checked; don't use for navigation",
        "time;temperature;wind;rain;remark",
        "UTC;°C;m/s;mm;",
        "01.01.2026 00:00;-1,5;3,2;0,0;",
        "01.01.2026 01:00;-1,7;*****;0,0;anemometer frozen",
        "01.01.2026 02:00;-2,0;*****;1,2;",
        "# end of day",
        "01.01.2026 03:00;-2,1;2,9;0,4;",
    ]
    content = "\n".join([*lines, ""]).encode()
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Portal("weather.csv", content, 4, {"time_UTC": start, "temperature_C": -1.5, "wind_m_s": 3.2})


def sensors() -> Portal:
    """Messages of sensors, one object a line: nested values, long ids, a line that broke off."""
    messages = [
        {"id": 9007199254740993, "at": "2026-02-01T00:00:00Z", "level": 1.25, "tags": ["river", "north"], "ok": True},
        {"id": 9007199254740994, "at": "2026-02-01T00:05:00Z", "level": None, "tags": [], "ok": False},
        {"id": 9007199254740995, "at": "2026-02-01T00:10:00Z", "level": 1.5, "tags": ["river"], "ok": True},
    ]
    lines = [json.dumps(message) for message in messages]
    lines.insert(2, lines[1][:30])
    first = {"id": 9007199254740993, "level": 1.25, "tags": '["river", "north"]', "ok": True}
    return Portal("river_sensors.jsonl", "\n".join([*lines, ""]).encode(), 3, first, rejected=(3,))


def bank() -> Portal:
    """Statement of a German bank: lines about the account above, amounts with a sign behind, a balance below."""
    lines = [
        '"Kontonummer:";"DE00 0000 0000 0000 0000 00 / Girokonto"',
        '"Von:";"01.03.2026"',
        '"Bis:";"31.03.2026"',
        "",
        '"Buchungstag";"Empfänger";"Verwendungszweck";"Betrag";"Saldo"',
        '"02.03.2026";"Stadtwerke";"Abschlag März";"-89,00 €";"54.422,92 €"',
        '"16.03.2026";"Müller, Änne";"Miete; Garage";"-1.100,00 €";"53.322,92 €"',
        '"31.03.2026";"ACME GmbH";"Gehalt";"2.750,33 €";"56.073,25 €"',
        '"Kontostand am 31.03.2026:";"";"";"";"56.073,25 €"',
    ]
    content = "\r\n".join([*lines, ""]).encode("cp1252")
    first = {"Buchungstag": dt.date(2026, 3, 2), "Betrag": -89.0, "Saldo": 54422.92}
    return Portal("kontoauszug.csv", content, 3, first)


def price_list() -> Portal:
    """Price list of a wholesaler as an old workbook: a title over merged cells, currency and percent formats."""
    first = {"Article": "00123", "Price": 12.5, "Discount": 0.15, "Valid_from": dt.date(2026, 4, 1), "In_stock": True}
    return Portal("price_list.xls", (HERE / "price_list.xls").read_bytes(), 4, first)


def make_price_list(path: Path) -> None:
    """Write the price list as .xlsx; `soffice --headless --convert-to xls` has made the .xls of it."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    sheet.append(["Price list spring 2026"])
    sheet.merge_cells("A1:F1")
    sheet.append([])
    sheet.append(["Article", "Name", "Price", "Discount", "Valid from", "In stock"])
    day = dt.date(2026, 4, 1)
    for row in (
        ["00123", "Olive oil 1 l", 12.5, 0.15, day, True],
        ["00124", "Vinegar", 3, 0, day, False],
        ["A-7", "Salt, coarse", 0.99, None, dt.date(2026, 5, 1), True],
        ["00200", "Pepper", 4.25, 0.1, day, True],
    ):
        sheet.append(row)
        sheet.cell(sheet.max_row, 3).number_format = "#,##0.00 [$€-407]"
        sheet.cell(sheet.max_row, 4).number_format = "0 %"
        sheet.cell(sheet.max_row, 5).number_format = "dd.mm.yyyy"
    book.save(path)


def population() -> Portal:
    """Population by municipality as a workbook: notes above and below, a total, an empty column to its left."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["", "Table 12: Population by municipality"],
        ["", "as at 31 December 2025"],
        [],
        ["", "Code", "Municipality", "Men", "Women", "Change"],
        ["", "05315", "Old Port", 530_123, 552_877, -0.002],
        ["", "05314", "Anytown", 160_001, 170_224, 0.011],
        ["", "05316", "Upper Hill", 78_400, 83_111, None],
        ["", "TOTAL", None, 768_524, 806_212, 0.004],
        ["", "Source: registers of the municipalities"],
    ):
        sheet.append([value if value != "" else None for value in row])
    content = io.BytesIO()
    book.save(content)
    first = {"Code": "05315", "Municipality": "Old Port", "Men": 530123, "Change": -0.002}
    return Portal("population.xlsx", content.getvalue(), 3, first, sums={"Men": 768_524, "Women": 806_212})


def inspections() -> Portal:
    """Dump of a database: backslashes escape quotes, and \\N is null."""
    lines = [
        "id,name,visited,score,comment",
        '1,"The \\"Golden\\" Hen",2026-01-05,87,"clean, friendly"',
        "2,Anna's,2026-01-06,\\N,\\N",
        '3,"Sea\\"s End",2026-01-07,55,"see \\"notes\\""',
    ]
    first = {"name": 'The "Golden" Hen', "visited": dt.date(2026, 1, 5), "score": 87}
    return Portal("inspections.csv.gz", gzip.compress("\n".join([*lines, ""]).encode(), mtime=0), 3, first)


def taxis() -> Portal:
    """Trips of a month as Parquet: times without zone, a price as decimal, 32-bit integers."""
    table = pa.table(
        {
            "vendor": pa.array([1, 2, 2], pa.int32()),
            "pickup": pa.array(
                [dt.datetime(2026, 1, 1, 0, 5), dt.datetime(2026, 1, 1, 0, 9), None], pa.timestamp("us")
            ),
            "distance": pa.array([1.5, 0.0, 12.25], pa.float32()),
            "zone": pa.array(["A", "B", "A"]).dictionary_encode(),
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content)
    first = {"vendor": 1, "pickup": dt.datetime(2026, 1, 1, 0, 5, tzinfo=dt.UTC), "distance": 1.5, "zone": "A"}
    return Portal("trips.parquet", content.getvalue(), 3, first)


PORTALS: tuple[Callable[[], Portal], ...] = (
    *(spending, timetable, election, weather, sensors, bank, price_list, population, inspections, taxis),
)
