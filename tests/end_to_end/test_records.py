"""JSON Lines and Parquet from raw to clean, in a folder and in a bucket, and recounted by the reference readers."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.support.lake import company_csv


def test_each_format_has_the_same_rows_and_rejects(lake):
    table = pyarrow.csv.read_csv(io.BytesIO(company_csv(1, 1000)))
    table = table.set_column(3, "Sold", pa.array([-1, *table["Sold"].to_pylist()[1:]]))
    lines = "\n".join(map(json.dumps, table.to_pylist())).encode()
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=300)
    for name, content in {"a.ndjson": lines, "b.jsonl.gz": gzip.compress(lines), "c.parquet": sink.getvalue()}.items():
        lake.put(f"companydata/{name}", content)
    lake.put("companydata/d.parquet", sink.getvalue()[:-9])
    assert lake.finish("once") == 0
    loads = lake.loads()
    for name in ("a.ndjson", "b.jsonl.gz", "c.parquet"):
        load = loads[f"companydata/{name}"]
        assert (load["status"], load["rows_kept"], load["rows_rejected"]) == ("loaded", 999, 1)
        clean = lake.published(f"clean/companydata/{name}.parquet")
        assert [row["_line"] for row in clean] == list(range(2, 1001))
        assert [row["Ordered"] for row in clean] == list(range(1, 1000))
        [reject] = lake.published(f"rejected/companydata/{name}.parquet")
        assert (reject["line"], reject["column"], reject["rule"], reject["value"]) == (1, "Sold", "minimum", "-1")
        assert json.loads(reject["raw"])["Dept"] == "Dept 0"
    assert loads["companydata/d.parquet"]["status"] == "refused"
    verified = lake.command("verify", "--json")
    assert verified.returncode == 0, verified.stdout
