"""DuckDB with its own reader of Delta: an oracle that is not ours, as a program in an environment of its own.

It is of a release whose extensions are on the package index (`requirements/oracle.in`, made by `make test`).
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]

PYTHON = ROOT / ".venv/oracle/bin/python"
LOADED = ("httpfs", "delta")

Ask = Callable[[str], list[dict[str, Any]]]  # with SQL over the table `t`; the answers are what JSON has


def has_oracle() -> bool:
    """Return whether the environment is there."""
    return PYTHON.exists()


@contextmanager
def oracle(address: str, options: Mapping[str, str]) -> Iterator[Ask]:
    """Run DuckDB while the block runs: each question reads the newest version of the Delta table at an address."""
    command = [PYTHON, __file__, address, json.dumps(dict(options))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        questions, answers = process.stdin, process.stdout

        def ask(query: str) -> list[dict[str, Any]]:
            print(json.dumps(query), file=questions, flush=True)
            answer = json.loads(answers.readline())
            assert isinstance(answer, list), answer
            return answer

        try:
            yield ask
        finally:
            questions.close()


def _secret(options: Mapping[str, str]) -> str:
    endpoint = urlsplit(options["aws_endpoint_url"])
    values = {
        "KEY_ID": options["aws_access_key_id"],
        "SECRET": options["aws_secret_access_key"],
        "REGION": options["aws_region"],
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": "path",
    }
    quoted = "".join(f", {name} '{value}'" for name, value in values.items())
    return f"CREATE SECRET (TYPE s3{quoted}, USE_SSL {endpoint.scheme == 'https'})"


def _serve() -> None:
    """Answer questions, one a line, in the oracle's own environment."""
    import importlib

    import duckdb

    address, options = sys.argv[1], json.loads(sys.argv[2])
    connection = duckdb.connect()
    for name in LOADED:
        package = importlib.import_module(f"duckdb_extension_{name}")
        [extension] = Path(package.__path__[0]).rglob("*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    if options:
        connection.execute(_secret(options))
    table = f"delta_scan('{address}')"
    for line in sys.stdin:
        try:
            found = connection.execute(f"WITH t AS (FROM {table}) {json.loads(line)}")
            names = [column[0] for column in found.description]
            answer: Any = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except duckdb.Error as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
