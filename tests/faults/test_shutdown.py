"""SIGTERM under load: nothing is left half done; and who asks twice is not kept waiting."""

import signal
import socket
import sqlite3
from contextlib import closing

from pipeline.service import signals
from tests.support.lake import company_csv
from tests.support.minio_server import until
from tests.support.truth import assert_true


def test_sigterm_under_load_finishes_what_is_in_flight(lake):
    for number in range(150):
        lake.put(f"companydata/{number}.csv", company_csv(number))
    program = lake.start("run")
    until(lambda: len(list(lake.store.list("clean/"))) > 5)
    program.signal(signal.SIGTERM)
    assert program.wait() == 0, program.log
    assert "Traceback" not in program.log
    assert list((lake.state / "staging").iterdir()) == []
    with closing(sqlite3.connect(lake.state / "ledger.sqlite")) as db:
        [(in_flight, left)] = db.execute("SELECT sum(in_flight), sum(status = 'pending') FROM source")
    loaded = {name for name, row in lake.loads().items() if row["status"] == "loaded"}
    assert (in_flight, left) == (0, 150 - len(loaded))
    assert left, "it was too late to stop it"
    # What was published last is what is there: each clean object has its load, and the other way round.
    assert {key.removeprefix("clean/").removesuffix(".parquet") for key in lake.outputs()} == loaded
    assert lake.finish("once") == 0
    assert_true(lake)


def test_a_store_that_falls_silent_holds_up_no_end(local_lake):
    """It takes the connection and says nothing, which a client bears for longer than an end may take."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = {"LAKE_URL": "s3://lake", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        keys = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "password"}
        program = local_lake.start("run", prepare=_short_of_time, **place, **keys)
        with silent.accept()[0]:
            program.signal(signal.SIGTERM)
            assert program.wait() == 0, program.log


def _short_of_time() -> None:
    signals.STOP_SECONDS = 1.0  # the client alone would take 30 s to call such a store away


def test_a_second_signal_stops_at_once(local_lake):
    local_lake.put("companydata/large.csv", company_csv(1, rows=1_500_000))
    program = local_lake.start("run")
    until(lambda: list(local_lake.state.glob("staging/*")), what="a load in flight")
    program.signal(signal.SIGTERM)
    program.signal(signal.SIGINT)  # two of one kind at one moment would be one
    assert program.wait() in (128 + signal.SIGTERM, 128 + signal.SIGINT), "the load was over too soon"
    assert local_lake.loads() == {}
    with closing(sqlite3.connect(local_lake.state / "ledger.sqlite")) as db:
        assert list(db.execute("SELECT in_flight, deaths FROM source")) == [(0, 0)]
    local_lake.put("companydata/large.csv", company_csv(1))
    assert local_lake.finish("once") == 0
    assert list((local_lake.state / "staging").iterdir()) == []
    assert_true(local_lake)
