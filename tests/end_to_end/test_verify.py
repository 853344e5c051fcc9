"""`python -m pipeline verify` as a user runs it: beside a pipeline at work, at rest, and on a lake that was damaged."""

import json
import threading
from itertools import count

from lake.layout import STATUS, clean_key, summary_key
from tests.support.lake import company_csv
from tests.support.minio_server import until

NAMES = [f"companydata/{number}.csv" for number in range(12)]


def verified(lake, *arguments: str) -> dict:
    ended = lake.command("verify", "--json", *arguments)
    assert "Traceback" not in ended.stderr
    said = json.loads(ended.stdout)
    assert ended.returncode == (1 if said["differences"] else 0), ended.stderr
    return said


def test_beside_a_pipeline_at_work_and_at_rest(lake):
    """Files come, change and go while it looks: no difference is told, and in the end all of it is verified."""
    rest = threading.Event()

    def feed() -> None:
        for turn in count():
            if rest.wait(0.02):
                break
            lake.put(NAMES[turn % len(NAMES)], company_csv(turn))
            if turn % 7 == 0:
                lake.store.delete(f"raw/{NAMES[turn % 5]}")

    feeder = threading.Thread(target=feed)
    with lake.pipeline(SWEEP_SECONDS="1"):
        until(lambda: list(lake.store.list(STATUS)))
        feeder.start()
        try:
            for _ in range(2):
                assert verified(lake)["differences"] == []
        finally:
            rest.set()
            feeder.join()
        for name in NAMES:
            lake.put(name, company_csv(1))
        lake.wait_loaded(*NAMES)
        said = until(lambda: [told for told in [verified(lake)] if not told["unverified"]], what="a lake at rest")[0]
    assert (said["files"], said["rows"], said["differences"]) == (12, 12 * 24, [])


def test_damage_is_named_and_the_exit_code_tells(lake):
    assert lake.command("verify").returncode == 2
    for name in NAMES[:2]:
        lake.put(name, company_csv(1))
    lake.command("once")
    ended = lake.command("verify")
    assert (ended.returncode, "2 files verified, 48 rows" in ended.stdout) == (0, True), ended.stderr
    first, second = (f"raw/{name}" for name in NAMES[:2])
    lake.store.put(clean_key(first), b"damaged")
    lake.store.delete(summary_key("companydata"))
    ended = lake.command("verify")
    assert ended.returncode == 1
    assert clean_key(first) in ended.stdout
    assert summary_key("companydata") in ended.stdout
    assert clean_key(second) not in ended.stdout
    assert verified(lake, second)["differences"] == []
    assert {one["key"] for one in verified(lake, first)["differences"]} == {first, clean_key(first)}
