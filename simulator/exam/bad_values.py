"""Values that a contract rejects although Arrow, Python or a spreadsheet may accept them, each with its rule."""

from collections.abc import Sequence

Value = tuple[str, str, str]  # column, the cell as it is written (bytes that are no text as surrogates), rule


def _each(columns: Sequence[str], texts: Sequence[str], rule: str) -> list[Value]:
    return [(column, text, rule) for column in columns for text in texts]


UNITS, MONEY = ("Sold", "Returned", "Ordered"), ("unit_price", "discount", "total")

VALUES: dict[str, dict[str, list[Value]]] = {
    kind: {dataset: values for dataset, values in (("companydata", company), ("orders", order)) if values}
    for kind, company, order in [
        ("hexadecimal", _each(UNITS, ["0x1F", "0X10"], "type"), _each(("quantity", *MONEY), ["0x1F"], "type")),
        ("infinity", _each(UNITS, ["inf"], "type"), _each(MONEY, ["inf", "-inf", "Infinity", "NaN", "nan"], "type")),
        ("huge exponent", _each(UNITS, ["1e400", "1e2"], "type"), _each(MONEY, ["1e400", "-1E999"], "type")),
        ("underscore", _each(UNITS, ["1_000", "_1"], "type"), _each(("quantity", *MONEY), ["1_0", "1_0.5"], "type")),
        ("foreign digits", _each(UNITS, ["\u0661\u0662", "\uff15", "\u00b2"], "type"),
         _each(("quantity", *MONEY), ["\u0661", "\uff17"], "type")),
        ("beyond 64 bits", _each(UNITS, ["9223372036854775808", "-9223372036854775809", "9" * 40], "type"), []),
        ("no number", _each(UNITS, ["many", "1.5", "--5", "+", "5 5", '"1,5"', "N/A"], "type"),
         _each(MONEY, ["cheap", "1.2.3", "1e", ".", "-", '"1,5"', "€5"], "type")),
        ("text around numbers", _each(UNITS, ["£5", "80 %", "(5)", "5-", "5 kg", '"1,000"'], "type"),
         _each(("quantity", *MONEY), ["$5", "5 %", "(5)", '"1,000"', "5 EUR"], "type")),
        ("another form of times", [], _each(["ordered_at"], ["16/5/25", "16/5/25 3:07 PM", "2026-05-16 3:07 PM",
         "16 May 2026 15:07", "2026-05-16T15:07:00+0200", "20260516T150700Z"], "type")),
        ("no such time", [], _each(["ordered_at"], ["2026-02-30T10:00:00Z", "2026-04-31T10:00:00", "2025-02-29T00:00Z",
         "2026-13-01T10:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T10:61:00Z", "yesterday", "01/02/2026 10:00"],
         "type")),
        ("minimum", _each(UNITS, ["-1", "-9223372036854775808"], "minimum"),
         [*_each(["quantity"], ["0", "-3"], "minimum"), *_each(MONEY, ["-0.01", "-1e3"], "minimum")]),
        ("maximum", [], [*_each(["quantity"], ["1001"], "maximum"), *_each(["discount"], ["1.01", "2"], "maximum")]),
        ("required", [*_each(("Month", "Dept", "Store", *UNITS), ["", '""'], "required"),
                      *_each(UNITS, ["  ", "\t", '" "'], "required")],
         [*_each(("order_id", "ordered_at", "customer", "country", "product", "quantity"), ["", '""'], "required"),
          *_each(("unit_price", "total"), [" "], "required")]),
        ("pattern", [], [*_each(["country"], ["de", "DEU", "D", "DE "], "pattern"),
                         *_each(["email"], ["nobody", "a@b@c", "@", "a b@c"], "pattern")]),
        ("maxLength", [], _each(["order_id"], ["X" * 21, "é" * 30], "maxLength")),
        ("not UTF-8", _each(("Month", "Store"), ["caf\udce9", "\udcff", "\udcc3("], "encoding"),
         _each(("customer", "product"), ["Ren\udce9", "\udced\udca0\udc80", "\udcc0\udc80"], "encoding")),
        ("NUL byte", _each(("Month", "Store"), ["No\0rth", "\0"], "encoding"),
         _each(("customer", "product"), ["\0", "a\0"], "encoding")),
    ]
}  # fmt: skip
