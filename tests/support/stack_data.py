"""Objects that a stack has published."""

import io

import pyarrow.parquet as pq

from tests.support.compose import Stack

KEY = "raw/companydata/companydata.csv"


def published(stack: Stack, key: str) -> list[dict]:
    with stack.store().open(key) as (_, stream):
        return pq.read_table(io.BytesIO(stream.read())).to_pylist()
