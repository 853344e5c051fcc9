"""Odd files of datasets with a contract of their own: for each property of a contract, what must come of its files.

What a property does was worked out by hand from the standards and docs/datasets.md, never by reading the file.
"""

import csv
import io
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

AB = [{"name": "a"}, {"name": "b", "type": "integer"}]

Reject = tuple[int | None, str | None, str]  # line, column, rule


@dataclass(frozen=True)
class Kind:
    """Dataset and a file of it: the cells of `columns` in each row, after its line, and what is rejected."""

    content: bytes
    rows: list[tuple] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    refused: str | None = None
    name: str = "a.csv"
    fields: list[dict[str, Any]] = field(default_factory=lambda: AB)
    schema: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)  # of the contract, beside its schema and dialect
    dialect: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns of a row, without its line."""
        return [*(one["name"] for one in self.fields), *(["_more"] if self.more.get("more") else [])]


def _of(content: bytes, *rows: tuple, rejects: list[Reject] | None = None, **dialect: Any) -> Kind:
    """Return a kind that is its dialect alone."""
    return Kind(content, [*rows], rejects or [], dialect=dialect)


DIALECTS = {
    "tabs": Kind(b"a\tb\nx,y\t1\n", [(2, "x,y", 1)], name="a.tsv"),
    "text": Kind(b"a,b\nx,1\n", [(2, "x", 1)], name="a.txt", more={"format": "txt"}),
    "no-header": _of(b"x,1\ny\n\nz,2\n", (1, "x", 1), (4, "z", 2), rejects=[(2, None, "fields")], header=False),
    "header-below": _of(b'A "title\n\na,b\nx,1\n', (4, "x", 1), headerRows=[3]),
    "no-header-below": Kind(b"t\n\n\na,b\nx,1\n", refused="header", dialect={"headerRows": [3]}),
    "two-headers": Kind(b"a,b\nx,y\nz,1\n", [(3, "z", 1)], dialect={"headerRows": [1, 2], "headerJoin": "-"},
                        fields=[{"name": "a-x"}, {"name": "b-y", "type": "integer"}]),
    "comments": _of(b'#"t\na,b\n#x,1\nx,1\n"#y",2\n', (4, "x", 1), (5, "#y", 2), commentChar="#"),
    "long-comments": _of(b'a,b\n//x\n"\n//",1\n/,2\n', (3, "\n//", 1), (5, "/", 2), commentChar="//"),
    "comment-rows": _of(b't\na,b\nx,1\n"---\ny,2\n', (3, "x", 1), (5, "y", 2), commentRows=[1, 4]),
    "spaces": _of(b'a, b\n x,  1\n  "y, z", 2\nw, "\nv ,3\n', (2, "x", 1), (3, "y, z", 2), (5, "v ", 3),
                  rejects=[(4, None, "quote")], skipInitialSpace=True),
    "escapes": _of(b'a,b\n\\"x\\,,1\n"y\\"z",2\n"q""r",3\nu\\\r\nv,4\nw\\\\,5\nt\\', (2, '"x,', 1), (3, 'y"z', 2),
                   (4, 'q"r', 3), (5, "u\r\nv", 4), (7, "w\\", 5), rejects=[(8, None, "quote")], escapeChar="\\"),
    "escapes-alone": _of(b'a,b\n"x\\"y",1\n"q""r",2\n"""",3\nz,4\n', (2, 'x"y', 1), (5, "z", 4),
                         rejects=[(3, None, "quote"), (4, None, "quote")], escapeChar="\\", doubleQuote=False),
    "no-doubles": _of(b'a,b\n"x,",1\n"q""r",2\n"",3\n', (2, "x,", 1), (4, None, 3),
                      rejects=[(3, None, "quote")], doubleQuote=False),
    "windows-ends": _of(b'a,b\r\nx,1\n"y\n",2\r\nw,4\rz,3', (3, "y\n", 2), (6, "z", 3),
                        rejects=[(2, None, "lineTerminator"), (5, None, "lineTerminator")], lineTerminator="\r\n"),
    "other-ends": Kind(b"a,b\r\nx,1\n", refused="header", dialect={"lineTerminator": "\n"}),
    "null-word": _of(b'a,b\n-,"-"\n--,1\n', (2, None, None), (3, "--", 1), nullSequence="-"),
    "null-escape": _of(b"a,b\n\\N,1\n\\n,2\n", (2, None, 1), (3, "n", 2), escapeChar="\\", nullSequence="\\N"),
    "footers": _of(b'a,b\nx,1\ny,many\n\nTotal,2\n"end\n', (2, "x", 1), rejects=[(3, "b", "type")], footerRows=2),
    "footers-alone": _of(b"a,b\nTotal,2\n", footerRows=3),
    "marks": _of(b"a|b\n'x|y'|1\n'z''\"'|2\n", (2, "x|y", 1), (3, "z'\"", 2), delimiter="|", quoteChar="'"),
}  # fmt: skip

MATCHES = {
    "any-order": Kind(b"b,a\n1,x\n", [(2, "x", 1)], schema={"fieldsMatch": "equal"}),
    "this-order": Kind(b"b,a\n1,x\n", refused="header"),
    "subset": Kind(b"c,b,a\n?,1,x\n", [(2, "x", 1)], schema={"fieldsMatch": "subset"}),
    "superset": Kind(b"a\nx\n", [(2, "x", None)], schema={"fieldsMatch": "superset"}),
    "superset-of-none": Kind(b"a,c\nx,?\n", refused="header", schema={"fieldsMatch": "superset"}),
    "partial": Kind(b"c,b\n?,1\n", [(2, None, 1)], schema={"fieldsMatch": "partial"}),
    "partial-of-none": Kind(b"c,d\n?,1\n", refused="header", schema={"fieldsMatch": "partial"}),
    "partial-required": Kind(b"c,b\n?,1\n", refused="header", schema={"fieldsMatch": "partial"},
                             fields=[{"name": "a", "constraints": {"required": True}}, AB[1]]),
    "surplus": Kind(b'c,a,b,c,d\n1,x,1,"say ""hi""",\n2,y,z,3,4\n',
                    [(2, "x", 1, '{"c": ["1", "say \\"hi\\""], "d": ""}')], [(3, "b", "type")],
                    schema={"fieldsMatch": "subset"}, more={"more": True}),
    "other-names": Kind(b"n,n,\nx,y,1\n", [(2, "y", "x", 1)],
                        fields=[{"name": "second", "header": ["n", 2]}, {"name": "first", "header": "n"},
                                {"name": "none", "header": "", "type": "integer"}], schema={"fieldsMatch": "equal"}),
    "unique": Kind(b'a,b\nx,1\ny,01\nz,\nw,\nv,"+1"\nu,2\n', [(2, "x", 1), (4, "z", None), (5, "w", None), (7, "u", 2)],
                   [(3, "b", "unique"), (6, "b", "unique")],
                   fields=[AB[0], {**AB[1], "constraints": {"unique": True}}]),
    "primary": Kind(b"a,b\nx,1\nx,2\nx,1\n,3\ny,many\ny,4\n", [(2, "x", 1), (3, "x", 2), (7, "y", 4)],
                    [(4, None, "primaryKey"), (5, "a", "required"), (6, "b", "type")],
                    schema={"primaryKey": ["a", "b"]}),
    "keys": Kind(b"a,b\nx,1\nx,2\ny,1\n,2\n,3\nz,3\n", [(2, "x", 1), (5, None, 2), (6, None, 3)],
                 [(3, "a", "uniqueKeys"), (4, "b", "uniqueKeys"), (7, "b", "uniqueKeys")],
                 schema={"uniqueKeys": [["a"], ["b"]]}),
}  # fmt: skip


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


UUID = "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
CENTS = {"type": "number", "decimal": {"precision": 5, "scale": 2}}

# A column of each type and form: its field, cells with their values, and wrong cells with the rule that they break.
CELLS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "words": ({"type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]},
              {"ja": True, " nein": False}, {"true": "type", "1": "type", "JA": "type"}),
    "missing": ({"type": "integer", "missingValues": [{"value": "-"}, {"value": "99", "label": "unknown"}]},
                {"-": None, "99": None, "9": 9}, {"": "type", "n/a": "type"}),
    "pounds": ({"type": "number", "bareNumber": False, "groupChar": ","},
               {"£63,124.71": 63124.71, "-£5": -5.0, "5 GBP": 5.0}, {"(5)": "type", "5-": "type", "£": "type"}),
    "percent": ({"type": "integer", "bareNumber": False}, {"80 %": 80, "-3%": -3}, {"1.5 %": "type", "%": "type"}),
    "euros": ({"type": "number", "bareNumber": False, "groupChar": ".", "decimalChar": ","},
              {"54.422,92 €": 54422.92, "EUR 5": 5.0}, {"5 bis 7": "type"}),
    "cents": ({**CENTS, "constraints": {"maximum": "10.10"}},
              {"10.1": Decimal("10.10"), "1e1": Decimal("10.00"), "5.500": Decimal("5.50")},
              {"0.001": "type", "10.11": "maximum", "12345.00": "type"}),
    "clock": ({"type": "time"}, {"15:07": time(15, 7), "15:07:00.5": time(15, 7, 0, 500_000)},
              {"24:00": "type", "12:00Z": "type", "7:00": "type"}),
    "noon": ({"type": "time", "format": "%-I:%M %p"}, {"3:07 PM": time(15, 7), "12:00 am": time()},
             {"13:00 PM": "type"}),
    "year": ({"type": "year", "constraints": {"minimum": 2000}}, {"2026": 2026}, {"1999": "minimum", "99": "type"}),
    "month": ({"type": "yearmonth"}, {"2026-12": "2026-12"}, {"2026-13": "type", "2026-1": "type", "2026": "type"}),
    "duration": ({"type": "duration"}, {"P1Y2M": "P1Y2M", "PT36H": "PT36H", "P3W": "P3W"}, {"P": "type", "1D": "type"}),
    "list": ({"type": "list", "itemType": "integer", "delimiter": "|", "constraints": {"maxLength": 2}},
             {"1|2": "1|2", "7": "7"}, {"1|x": "type", "1|2|3": "maxLength"}),
    "object": ({"type": "object", "constraints": {"minLength": 1}}, {'{"k": [1, "x, y"]}': '{"k": [1, "x, y"]}'},
               {"[1]": "type", "{": "type", '{"k": NaN}': "type", "{}": "minLength"}),
    "array": ({"type": "array"}, {'[1, "x"]': '[1, "x"]', "[]": "[]"}, {"{}": "type", "[1": "type", "1": "type"}),
    "point": ({"type": "geopoint"}, {"90.50, 45.50": "90.50, 45.50"}, {"181, 0": "type", "0, 91": "type", "0": "type"}),
    "place": ({"type": "geopoint", "format": "array"}, {"[90.50, 45.50]": "[90.50, 45.50]"}, {"[1, 91]": "type"}),
    "spot": ({"type": "geopoint", "format": "object"}, {'{"lon": 1, "lat": 2}': '{"lon": 1, "lat": 2}'},
             {'{"lon": 1}': "type"}),
    "short": ({"type": "date", "format": "%-d/%-m/%y"}, {"16/5/25": date(2025, 5, 16), "1/1/69": date(1969, 1, 1)},
              {"31/2/25": "type", "1/1/2025": "type"}),
    "named": ({"type": "date", "format": "%d %b %Y"}, {"31 JAN 2026": date(2026, 1, 31)},
              {"31 January 2026": "type", "1 Jan 2026": "type"}),
    "long": ({"type": "date", "format": "%B %-d, %Y"}, {"may 1, 2026": date(2026, 5, 1)}, {"Mai 1, 2026": "type"}),
    "zoned": ({"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f%z"},
              {"2026-01-31 01:00:00.25+0200": _utc(2026, 1, 30, 23, 0, 0, 250_000),
               "2026-01-31 01:00:00.5Z": _utc(2026, 1, 31, 1, 0, 0, 500_000)}, {"2026-01-31 01:00:00.5": "type"}),
    "after": ({"type": "date", "constraints": {"exclusiveMinimum": "2026-01-01"}},
              {"2026-01-02": date(2026, 1, 2)}, {"2026-01-01": "exclusiveMinimum", "2026-02-30": "type"}),
    "below": ({"type": "number", "constraints": {"exclusiveMaximum": 5}}, {"4.9": 4.9}, {"5": "exclusiveMaximum"}),
    "mail": ({"format": "email"}, {"a.b@example.org": "a.b@example.org"}, {"a": "type", "a@b": "type"}),
    "link": ({"format": "uri"}, {"https://x.org/a?b": "https://x.org/a?b"}, {"x.org": "type"}),
    "uuid": ({"format": "uuid"}, {UUID: UUID}, {"9f86d081": "type", UUID + "0": "type"}),
    "base64": ({"format": "binary"}, {"YWJj": "YWJj"}, {"YWJ": "type"}),
    "code": ({"constraints": {"pattern": "[A-Z]{2}", "enum": ["DE", "FR"]}}, {"DE": "DE"}, {"IT": "enum"}),
    "anything": ({"type": "any"}, {" x ": " x ", "1": "1"}, {}),
}  # fmt: skip

FIELDS = [{"name": "row", "type": "integer"}, *({"name": name, **spec} for name, (spec, _, _) in CELLS.items())]


def _typed(name: str, chance: random.Random) -> Kind:
    """Return a file of one typed column, which is one of many in its contract; its cells are in any order."""
    spec, good, bad = CELLS[name]
    cells = [
        *((cell, value, None) for cell, value in good.items()),
        *((cell, None, rule) for cell, rule in bad.items()),
    ]
    chance.shuffle(cells)
    text, rows, rejects = io.StringIO(), list[tuple](), list[Reject]()
    writer = csv.writer(text, quoting=chance.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), lineterminator="\n")
    writer.writerow([name, "row"])
    for line, (cell, value, rule) in enumerate(cells, 2):
        writer.writerow([cell, line])
        if rule is None:
            rows.append((line, value, line))
        else:
            rejects.append((line, name, rule))
    return Kind(text.getvalue().encode(), rows, rejects, fields=[{"name": name, **spec}, FIELDS[0]])


KINDS = DIALECTS | MATCHES


def typed(chance: random.Random) -> Iterator[tuple[str, Kind]]:
    """Yield a file of each type and form; all are of the dataset `cells`."""
    for name in CELLS:
        yield name, _typed(name, chance)


def contracts() -> dict[str, dict[str, Any]]:
    """Return the contracts of all datasets by their names."""
    found = {
        name: {
            "name": name, **kind.more, "dialect": kind.dialect, "schema": {**kind.schema, "fields": kind.fields}
        }
        for name, kind in KINDS.items()
    }  # fmt: skip
    found["cells"] = {"name": "cells", "schema": {"fieldsMatch": "partial", "fields": FIELDS}}
    return found


def write_contracts(folder: Path, *others: Path) -> Path:
    """Write all contracts to a folder, with those of other folders and their transforms."""
    for path in (path for other in others for path in other.glob("*.*")):
        shutil.copy(path, folder)
    for name, contract in contracts().items():
        (folder / f"{name}.json").write_text(json.dumps(contract))
    return folder
