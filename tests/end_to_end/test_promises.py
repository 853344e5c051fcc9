"""Promises of Lakelet, with the real program on a real lake of each kind."""

import gzip
import shutil
from itertools import count

from tests.support.lake import HEADER, company_csv, history
from tests.support.minio_server import until
from tests.support.truth import company_sums


def test_exact_sums_and_an_overwrite_replaces_them(lake):
    first, second = company_csv(1), company_csv(2)
    with lake.pipeline():
        lake.put("companydata/companydata.csv", first)
        lake.wait_loaded("companydata/companydata.csv")
        assert lake.sums() == company_sums([first])

        lake.put("companydata/companydata.csv", second)
        lake.wait_loaded("companydata/companydata.csv")
        assert lake.sums() == company_sums([second])
    clean = lake.published("clean/companydata/companydata.csv.parquet")
    assert [row["_line"] for row in clean] == list(range(2, 26))
    assert all(row["Net"] == row["Sold"] - row["Returned"] for row in clean)


def test_no_sum_is_shown_that_was_never_true(lake):
    """Two files, each of two versions: whatever is published while they change is the sum of one version of each."""
    versions = {name: [company_csv(seed), company_csv(seed + 1)] for name, seed in (("a", 1), ("b", 5))}
    true = [company_sums([one, other]) for one in versions["a"] for other in versions["b"]]
    for name, (first, _) in versions.items():
        lake.put(f"companydata/{name}.csv", first)
    shown, turns = [], count(1)

    def several_were_seen() -> bool:
        turn = next(turns)
        for number, (name, contents) in enumerate(versions.items()):
            lake.put(f"companydata/{name}.csv", contents[(turn >> number) % 2])
            shown.append(lake.sums())
        return len([sums for sums in true if sums in shown]) >= 3

    with lake.pipeline():
        lake.wait_loaded("companydata/a.csv", "companydata/b.csv")
        until(several_were_seen, 40, "sums of different versions")
    assert [sums for sums in shown if sums not in true] == []


def test_a_put_is_loaded_by_its_event(lake):
    with lake.pipeline(SWEEP_SECONDS="600"):
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")
        for number in range(5):  # by now the only listing for ten minutes is over
            lake.put(f"companydata/later {number}.csv", company_csv(number))
            row = lake.wait_loaded(f"companydata/later {number}.csv")
            assert row[f"companydata/later {number}.csv"]["found_by"] == "event"


def test_a_restart_loads_nothing_twice(lake):
    for number in range(20):
        lake.put(f"companydata/{number}.csv", company_csv(number))
    assert lake.command("once").returncode == 0
    before, loads = lake.outputs(), lake.loads()

    with lake.pipeline(SWEEP_SECONDS="1"):
        lake.put("companydata/new.csv", company_csv(99))
        lake.wait_loaded("companydata/new.csv")
        until(lambda: lake.status()["files"]["pending"] == 0)
    assert lake.command("once").returncode == 0

    assert history(lake) == 21
    assert {name: row for name, row in lake.loads().items() if name != "companydata/new.csv"} == loads
    after = lake.outputs()
    assert {key: after[key] for key in before} == before


def test_kill_9_and_a_lost_state_end_as_an_undisturbed_run(lake):
    files = [company_csv(number) for number in range(500)]
    for number, content in enumerate(files):
        lake.put(f"companydata/{number}.csv", content)
    lake.put("companydata/dirty.csv", company_csv(1) + b"\n,,,,,\n")
    lake.put("companydata/refused.csv", b"nonsense\n")

    for fraction in (20, 200):
        with lake.pipeline() as running:
            until(lambda: len(list(lake.store.list("clean/"))) >= fraction, 60)  # noqa: B023
            running.kill()
        assert len(list(lake.store.list("clean/"))) < 500, "it was too late to kill it"
    shutil.rmtree(lake.state)
    assert lake.command("once").returncode == 0
    outputs, sums = lake.outputs(), lake.sums()

    shutil.rmtree(lake.state)
    for prefix in ("clean/", "rejected/", "published/"):
        for item in list(lake.store.list(prefix)):
            lake.store.delete(item.key)
    assert lake.command("once").returncode == 0

    assert sums == company_sums([*files, company_csv(1)]) == lake.sums()
    assert outputs == lake.outputs()
    assert len([key for key in outputs if key.startswith("clean/")]) == 501
    assert len([key for key in outputs if key.startswith("rejected/")]) == 2


def test_bad_records_are_rejected_and_a_bad_file_is_refused(lake):
    good = company_csv(3)
    dirty = good + b'1-Jan,Toys,North,many,0,-1\n1-Jan,Toys\n5"pipe,Toys,North,1,1,1\n'
    with lake.pipeline():
        lake.put("companydata/refused.csv", b"Month,Dept\n1-Jan,Toys\n")
        lake.put("companydata/dirty.csv", dirty)
        rows = lake.wait_loaded("companydata/refused.csv", "companydata/dirty.csv")
    assert [row["status"] for row in rows.values()] == ["refused", "loaded"]
    assert rows["companydata/refused.csv"]["first_problem"].startswith("the header does not fit")
    counts = [rows["companydata/dirty.csv"][f"rows_{name}"] for name in ("read", "kept", "dropped", "rejected")]
    assert counts == [27, 24, 0, 3]
    problems = lake.published("rejected/companydata/dirty.csv.parquet")
    assert [(one["line"], one["column"], one["rule"]) for one in problems] == [
        (26, "Sold", "type"),
        (26, "Ordered", "minimum"),
        (27, None, "fields"),
        (28, None, "quote"),
    ]
    assert problems[0]["raw"] == "1-Jan,Toys,North,many,0,-1"
    assert lake.published("clean/companydata/refused.csv.parquet") is None
    assert lake.sums() == company_sums([good])
    assert lake.status()["rows"] == {"read": 27, "kept": 24, "dropped": 0, "rejected": 3}


def test_good_then_refused_then_good(lake):
    good, bad = company_csv(1), HEADER.encode() + b",Surprise\n"
    with lake.pipeline():
        for content, status in ((good, "loaded"), (bad, "refused"), (company_csv(2), "loaded"), (bad, "refused")):
            lake.put("companydata/a.csv", content)
            assert lake.wait_loaded("companydata/a.csv")["companydata/a.csv"]["status"] == status
            folder = "clean" if status == "loaded" else "rejected"
            assert set(lake.outputs()) == {f"{folder}/companydata/a.csv.parquet"}
            assert lake.sums() == (company_sums([content]) if status == "loaded" else {})


def test_what_is_not_ours_is_counted_and_left_alone(lake):
    odd = {
        "notes.txt": b"x",
        "right under raw.csv": b"x",
        "companydata/picture.png": b"\x89PNG",
        "nobody/x.csv": b"a\n1\n",
    }
    with lake.pipeline(SWEEP_SECONDS="1"):
        for name, content in odd.items():
            lake.put(name, content)
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv", "nobody/x.csv")
        status = until(lambda: (told := lake.status())["files"]["ignored"] == 3 and told)
        loads = lake.loads()
    assert (status["files"]["loaded"], status["files"]["refused"]) == (1, 1)
    assert "raw/<dataset>/" in loads["notes.txt"]["first_problem"]
    assert ".csv" in loads["companydata/picture.png"]["first_problem"]
    assert "put nobody.json into" in loads["nobody/x.csv"]["first_problem"]
    for name, content in odd.items():
        with lake.store.open(f"raw/{name}") as (_, stream):
            assert stream.read() == content
    assert set(lake.outputs()) == {"clean/companydata/a.csv.parquet", "rejected/nobody/x.csv.parquet"}


def test_awkward_names_and_compressed_files(lake):
    names = ["a b+c%20d/é.csv", "_x/.y/😀.CSV", "x=1/y&z.csv.gz", "1/2/3/4/5/6/7/8/9/10.csv"]
    with lake.pipeline():
        for number, name in enumerate(names):
            content = company_csv(number)
            lake.put(f"companydata/{name}", gzip.compress(content) if name.endswith(".gz") else content)
        rows = lake.wait_loaded(*(f"companydata/{name}" for name in names))
    assert {row["status"] for row in rows.values()} == {"loaded"}
    assert {key.removeprefix("clean/companydata/") for key in lake.outputs()} == {f"{name}.parquet" for name in names}
    assert lake.sums() == company_sums([company_csv(number) for number in range(len(names))])


def test_clean_objects_that_were_lost_or_spoiled_are_made_again(lake):
    for name in "ab":
        lake.put(f"companydata/{name}.csv", company_csv(1))
    lake.command("once")
    before = lake.outputs()
    lake.store.delete("clean/companydata/a.csv.parquet")
    lake.store.put("clean/companydata/b.csv.parquet", b"spoiled")

    lake.command("once")

    assert lake.outputs() == before
    assert lake.sums() == company_sums([company_csv(1)] * 2)


def test_a_deleted_source_keeps_its_rows(lake):
    for name in "ab":
        lake.put(f"companydata/{name}.csv", company_csv(1))
    lake.command("once")
    lake.store.delete("raw/companydata/a.csv")
    lake.command("once")
    assert lake.loads()["companydata/a.csv"]["status"] == "missing"

    shutil.rmtree(lake.state)  # and a ledger that never knew it takes its rows over from the clean object
    lake.command("once")

    assert lake.loads()["companydata/a.csv"]["status"] == "missing"
    assert lake.sums() == company_sums([company_csv(1)] * 2)
    assert lake.status()["rows"]["kept"] == 48


def test_limits_are_settings(lake):
    long = company_csv(1) + b'1-Jan,"' + b"x" * (3 << 19) + b'\nToys",North,1,0,0\n'
    lake.put("companydata/long.csv", long)
    assert lake.command("once").returncode == 0
    assert lake.loads()["companydata/long.csv"]["rows_rejected"] == 2
    [problem, _] = lake.published("rejected/companydata/long.csv.parquet")
    assert "PIPELINE_RECORD_MIB" in problem["message"]

    shutil.rmtree(lake.state)
    assert lake.command("once", PIPELINE_RECORD_MIB="2").returncode == 0
    row = lake.loads()["companydata/long.csv"]
    assert (row["rows_kept"], row["rows_rejected"]) == (25, 0)
