"""Files as people have them: the drafted contract is valid, needs no quotes in SQL, and loads its file."""

import gzip
import io
import json
from dataclasses import dataclass

import duckdb
import frictionless
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.dataset.dataset import read_dataset
from pipeline.dataset.draft import draft, to_text
from pipeline.readers.csv.read import read_csv


@dataclass(frozen=True)
class File:
    """File, the name and type of each field that its draft has, what is said, and how many records are rejected."""

    content: bytes
    fields: dict[str, str]
    notes: tuple[str, ...] = ()
    rejected: int = 0
    headers: dict[str, object] | None = None
    name: str = "my.csv"


FRAME = pd.DataFrame(
    {"city": ["Köln", "Bonn", "Ulm"], "people": [1_087_863, 336_465, 128_928], "share": [0.5, 1.25, 3]}
)
SURVEY = (
    "Timestamp,What is your age?,Comments,Comments,\"Which of these\ndo you use?\",Rate 1-5,Rate 1-5\n"
    "1/12/2026 10:04:11,34,none,\"well, yes\",R;Python,4,5\n"
    "1/13/2026 9:15:00,29,,\"two\nlines\",SQL,5,1\n"
)  # fmt: skip
BANK = (
    "Buchungstag;Valuta;Empfänger/Auftraggeber;Verwendungszweck;IBAN;Betrag (EUR);Saldo\n"
    "02.01.2026;02.01.2026;Stadtwerke Köln;Abschlag Januar;DE02120300000000202051;-89,00;1.911,00\n"
    "05.01.2026;05.01.2026;Müller, Änne;Miete;DE02500105170137075030;-1.100,00;811,00\n"
    "30.01.2026;30.01.2026;ACME GmbH;Gehalt 01/26;DE02100500000054540402;2.750,33;3.561,33\n"
)
GERMAN = "Artikel-Nr.;Bezeichnung;Größe (m²);Preis in €\r\n00123;Öl;1,5;1.234,50\r\n00124;Fuß;2,25;12,00\r\n"
EUROSTAT = (
    "DATAFLOW,LAST UPDATE,freq,unit,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG\n"
    "ESTAT:T(1.0),11/02/26 23:00:00,A,PC,AT,2019,8.3,\n"
    "ESTAT:T(1.0),11/02/26 23:00:00,A,PC,BE,2020,9.1,b\n"
    "ESTAT:T(1.0),11/02/26 23:00:00,A,PC,EU27_2020,2021,:,\n"
    "ESTAT:T(1.0),11/02/26 23:00:00,A,PC,DE,2021,7.25,e\n"
    "ESTAT:T(1.0),11/02/26 23:00:00,A,PC,FR,2021,7.5,e\n"
)

FILES = {
    "pandas with its index": File(
        FRAME.to_csv().encode(),
        {"column_1": "integer", "city": "string", "people": "integer", "share": "number"},
        headers={"column_1": ""},
    ),
    "pandas with two levels": File(
        b",,x,x.1\na,one,1,2\na,two,3,4\n",
        {"column_1": "string", "column_2": "string", "x": "integer", "x_1": "integer"},
        headers={"column_1": ["", 1], "column_2": ["", 2], "x_1": "x.1"},
    ),
    "R with row names": File(
        b'"","mpg","cyl"\n"Mazda RX4",21,6\n"Datsun 710",22.8,4\n"Hornet",NA,6\n',
        {"column_1": "string", "mpg": "number", "cyl": "integer"},
        ("column mpg: 'NA' is read as null",),
        headers={"column_1": ""},
    ),
    "R with semicolons": File(
        b'"";"preis";"menge"\n"1";2,5;3\n"2";4,75;NA\n', {"column_1": "integer", "preis": "number", "menge": "integer"}
    ),
    "Excel in German": File(
        GERMAN.encode("utf-8-sig"),
        {"Artikel_Nr": "string", "Bezeichnung": "string", "Grosse_m2": "number", "Preis_in": "number"},
        ("column Artikel_Nr: 00123 begins with a zero, as codes do: string",),
        headers={"Artikel_Nr": "Artikel-Nr.", "Grosse_m2": "Größe (m²)", "Preis_in": "Preis in €"},
    ),
    "Excel in German, old letters": File(
        "Straße;Ort;Umsatz\nHauptstr. 1;Köln;54.422,92 €\nÄußere Gasse;Düren;1.000,00 €\n".encode("cp1252"),
        {"Strasse": "string", "Ort": "string", "Umsatz": "number"},
        ("read as cp1252", "column Umsatz: '€' is left out: 54.422,92 € becomes 54.422,92"),
    ),
    "Excel as Unicode text": File(
        "Land\tJahr\tWert\nÖsterreich\t2024\t1,5\nSchweiz\t2025\t2,5\n".encode("utf-16"),
        {"Land": "string", "Jahr": "integer", "Wert": "number"},
    ),
    "bank statement": File(
        BANK.encode("cp1252"),
        {
            "Buchungstag": "date",
            "Valuta": "date",
            "Empfanger_Auftraggeber": "string",
            "Verwendungszweck": "string",
            "IBAN": "string",
            "Betrag_EUR": "number",
            "Saldo": "number",
        },
    ),
    "British amounts": File(
        "Department,Spend,Share\nHealth,\"£63,124.71\",80%\nRoads,£12.00,7.5%\nSchools,\"£1,000.00\",12.5%\n".encode(),
        {"Department": "string", "Spend": "number", "Share": "number"},
        ("column Spend: '£' is left out: £63,124.71 becomes", "column Share: '%' is left out: 80% becomes 80"),
    ),
    "Eurostat": File(
        EUROSTAT.encode(),
        {
            "DATAFLOW": "string",
            "LAST_UPDATE": "datetime",
            "freq": "string",
            "unit": "string",
            "geo": "string",
            "TIME_PERIOD": "integer",
            "OBS_VALUE": "string",
            "OBS_FLAG": "string",
        },
        (
            "column OBS_VALUE: 1 of 5 different values are no number (':')",
            "column LAST_UPDATE: 11/02/26 23:00:00 may be day or month first",
        ),
    ),
    "years as columns": File(
        b"geo,2019,2020,2021\nDE,1,2,3\nFR,4,,6\n",
        {"geo": "string", "_2019": "integer", "_2020": "integer", "_2021": "integer"},
        headers={"_2019": "2019", "_2020": "2020", "_2021": "2021"},
    ),
    "survey": File(
        SURVEY.encode(),
        {
            "Timestamp": "datetime",
            "What_is_your_age": "integer",
            "Comments": "string",
            "Comments_2": "string",
            "Which_of_these_do_you_use": "string",
            "Rate_1_5": "integer",
            "Rate_1_5_2": "integer",
        },
        ("column Timestamp: its times have no zone: read as UTC",),
        headers={
            "What_is_your_age": "What is your age?",
            "Comments": ["Comments", 1],
            "Comments_2": ["Comments", 2],
            "Which_of_these_do_you_use": "Which of these\ndo you use?",
            "Rate_1_5": ["Rate 1-5", 1],
            "Rate_1_5_2": ["Rate 1-5", 2],
        },
    ),
    "a line of totals": File(
        b"id,amount\n00001,10\n00002,20\n00003,5\n00004,7\nTOTAL,42\n",
        {"id": "string", "amount": "integer"},
        ("column id: 00001 begins with a zero, as codes do: string", "footerRows: the last record is taken"),
    ),
    "totals among numbers": File(
        b"year,n\n2021,1\n2022,2\nTotal,3\n2023,3\n2024,4\n",
        {"year": "string", "n": "integer"},
        ("column year: 1 of 5 different values are no integer ('Total')",),
    ),
    "totals with a delimiter more": File(
        b"Monat;Wert\nJan;1,5\nFeb;2,5\n\nSumme;4,0;\n",
        {"Monat": "string", "Wert": "number"},
        ("footerRows: the last record is taken for a total or a note, from line 5 on ('Summe 4,0')",),
    ),
    "telephone numbers": File(
        b"name,phone\nA,+4930123456\nB,+4922198765\n",
        {"name": "string", "phone": "string"},
        ("column phone: +4930123456 looks like a telephone number: string",),
    ),
    "codes with an exponent": File(
        b"code,n\n12E4,1\n00E1,2\n17,3\n",
        {"code": "string", "n": "integer"},
        ("column code: 00E1 begins with a zero, as codes do: string",),
    ),
    "codes like exponents": File(
        b"code\n12E4\n1E5\n17\n", {"code": "string"}, ("column code: 12E4 is a code, or a number with an exponent",)
    ),
    "versions": File(
        b"version,n\n1.9,1\n1.10,2\n",
        {"version": "number", "n": "integer"},
        ("column version: 1.10 ends with a zero and others have fewer digits: number, or codes",),
    ),
    "prices": File(b"price\n1.10\n12.00\n0.95\n", {"price": "number"}),
    "floats": File(b"x\n1.0\n0.25\n1e-05\n1e+16\n-3.5\n", {"x": "number"}),
    "days first and halves of the day": File(
        b"day,begun\n16/5/2025,9:30 AM\n7/5/2025,11:05 PM\n",
        {"day": "date", "begun": "time"},
    ),
    "times of day": File(
        b"shift,begin\nearly,7:30\nlate,15:45\n",
        {"shift": "string", "begin": "time"},
    ),
    "dates in words": File(
        b"day\n31-Jan-2026\n1 February 2026\n", {"day": "string"}, ("column day: it looks like dates ('31-Jan-2026')",)
    ),
    "hidden values": File(
        b"school,pupils\nA,120\nB,*****\nC,85\nD,77\nE,90\n",
        {"school": "string", "pupils": "integer"},
        ("column pupils: '*****' is read as null: it stands in missingValues",),
    ),
    "dashes for nothing": File(
        b"school,pupils,head\nA,120,-\nB,-,Smith\n",
        {"school": "string", "pupils": "integer", "head": "string"},
        ("column pupils: '-' is read as null", "column head: - is null here too, as in every column"),
    ),
    "dashes in text": File(
        b"school,head\nA,-\nB,Smith\n", {"school": "string", "head": "string"}, ("column head: '-' is text here",)
    ),
    "words of SQL": File(
        b"select,order,Group,user,_line,end\n1,2,3,4,5,6\n",
        {"select_": "integer", "order_": "integer", "Group_": "integer", "user": "integer", "line": "integer",
         "end_": "integer"},
        headers={"select_": "select", "order_": "order", "Group_": "Group", "line": "_line", "end_": "end"},
    ),
    "names that differ in case": File(
        b"ID,id,Id_2\n1,2,3\n", {"ID": "integer", "id_3": "integer", "Id_2": "integer"}, headers={"id_3": "id"}
    ),
    "names with quotes": File(
        b'"say ""hi""",it\'s,a;b\nx,y,z\n',
        {"say_hi": "string", "it_s": "string", "a_b": "string"},
        headers={"say_hi": 'say "hi"', "it_s": "it's", "a_b": "a;b"},
    ),
    "other scripts": File(
        "日付,金額,Ελλάδα\n2026-01-31,100,a\n2026-02-01,250,b\n".encode(),
        {"column_1": "date", "column_2": "integer", "column_3": "string"},
        headers={"column_1": "日付", "column_2": "金額", "column_3": "Ελλάδα"},
    ),
    "a delimiter at each end": File(
        b"a,b,\n1,2,\n3,4,\n", {"a": "integer", "b": "integer", "column_3": "string"}, ("column_3: it has no value",)
    ),
    "pipes": File(b"id|name|when\n1|x|2026-01-31T10:00:00Z\n2|y|2026-02-01T11:30:00Z\n",
                  {"id": "integer", "name": "string", "when_": "datetime"}),
    "tabs and quotes of one": File(
        b"id\tname\n1\t'a b'\n2\t'it''s'\n", {"id": "integer", "name": "string"}, ("quoteChar",)
    ),
    "compressed": File(gzip.compress(b"a,a\n1,2\n"), {"a": "integer", "a_2": "integer"}, name="my.csv.gz"),
    "empty lines and spaces": File(
        b"\r\n a , b \r\n\r\n1, x\r\n2, y\r\n\r\n", {"a": "integer", "b": "string"}, headers={"a": " a ", "b": " b "}
    ),
    "one column": File(b"name\nSmith\nJones\n", {"name": "string"}),
    "one column of decimal commas": File(b"x\n1,5\n2,25\n-3,5\n", {"x": "number"}),
    "a header alone": File(b"a,b\n", {"a": "string", "b": "string"}),
    "a line of sources at the end": File(
        b"year,n,m\n2020,1,2\n2021,3,4\n2022,5,6\nSource: an office\n",
        {"year": "integer", "n": "integer", "m": "integer"},
        ("footerRows: the last record is taken for a total or a note, from line 5 on ('Source: an office')",),
    ),
    "a stray quote": File(
        b'a,b\n1,5" pipe\n2,x\n3,y\n',
        {"a": "integer", "b": "string"},
        ("line 2: its quotes are not in order: it will be rejected",),
        rejected=1,
    ),
    "numbers beyond 64 bits": File(
        b"id,x\n12345678901234567890,1\n1,2\n", {"id": "string", "x": "integer"}, ("beyond 64 bits",)
    ),
    "spaces for thousands": File(
        b"ville,habitants\nParis,2 102 650\nLyon,522 250\n", {"ville": "string", "habitants": "number"}
    ),
    "spaces that break no line": File(
        "ville;habitants\nParis;2\u202f102\u202f650\nLyon;522\u202f250\n".encode(),
        {"ville": "string", "habitants": "string"},
        ("column habitants: it looks like numbers",),
    ),
    "Swiss amounts": File(b"Ort;Betrag\nBern;1'234.50\nBasel;12.00\n", {"Ort": "string", "Betrag": "number"}),
    "negative in brackets": File(
        b'item,net\na,(1200)\nb,500\nc,"(1,000.50)"\n',
        {"item": "string", "net": "string"},
        ("column net: it looks like numbers ('(1200)')",),
    ),
}  # fmt: skip


def rows_of_pandas(file: File, made: dict) -> int:
    dialect = made["dialect"]
    frame = pd.read_csv(
        io.BytesIO(file.content),
        dtype=str,
        sep=dialect["delimiter"],
        quotechar=dialect.get("quoteChar", '"'),
        encoding="utf-8-sig" if made["encoding"] == "utf-8" else made["encoding"],
        compression="gzip" if file.name.endswith("gz") else None,
        keep_default_na=False,
        index_col=False,
        on_bad_lines="error" if file.rejected == 0 else lambda cells: cells[: len(made["schema"]["fields"])],
        engine="python" if file.rejected or "footerRows" in dialect else "c",
        skipfooter=dialect.get("footerRows", 0),
    )
    return len(frame)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_a_file_as_people_have_it(tmp_path, file):
    made, notes = draft(io.BytesIO(file.content), file.name, "my")
    fields = made["schema"]["fields"]
    assert {one["name"]: one["type"] for one in fields} == file.fields
    if file.headers is not None:
        assert {one["name"]: one["header"] for one in fields if "header" in one} == file.headers
    for said in file.notes:
        assert any(said in note for note in notes), notes
    assert frictionless.Resource.validate_descriptor(json.loads(to_text(made))).valid
    path = tmp_path / "my.json"
    path.write_text(to_text(made))
    dataset = read_dataset(path)
    batches = list(read_csv(io.BytesIO(file.content), file.name, dataset.contract))
    rows = pa.concat_tables([batch.rows for batch in batches] or [dataset.schema.empty_table()])
    rejected = sum(batch.rejected for batch in batches)
    assert rejected == file.rejected, [one for batch in batches for one in batch.problems]
    assert rows.num_rows + rejected == rows_of_pandas(file, made)
    # Its names need no quotes, and are those columns.
    query = ", ".join(f"count({name}) AS {name}" for name in file.fields)
    counts = duckdb.sql(f"SELECT {query} FROM rows").fetchall()[0]
    assert counts == tuple(len(rows[name]) - rows[name].null_count for name in file.fields)
