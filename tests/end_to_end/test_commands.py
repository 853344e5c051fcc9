"""Commands that a person runs by hand: look at files, load files again, retract deleted files."""

import json
import re
import subprocess
import time

from pipeline.ledger.ledger import MAX_ATTEMPTS
from pipeline.service import executor
from tests.support.lake import company_csv, history
from tests.support.minio_server import until
from tests.support.truth import company_sums

BAD = b"nonsense\n"


def status(lake, *arguments: str) -> list[dict]:
    """Return the rows that `status --json` prints for some files."""
    return json.loads(lake.command("status", "--json", *arguments).stdout)


def test_status_of_some_files(lake):
    for name, content in (("a", company_csv(1)), ("b", BAD), ("c [1]", company_csv(2))):
        lake.put(f"companydata/{name}.csv", content)
    assert lake.command("once").returncode == 0

    [row] = status(lake, "--status", "refused")
    assert (row["source_key"], row["rows_kept"]) == ("raw/companydata/b.csv", 0)
    assert row["first_problem"].startswith("the header does not fit")
    assert {row["status"] for row in status(lake, "raw/companydata/a.csv", "raw/companydata/c [1].csv")} == {"loaded"}
    assert status(lake, "--stale") == []
    shown = lake.command("status", "raw/companydata/c [1].csv").stdout
    assert "c [1].csv" in shown
    assert "24" in shown


def test_folders_without_a_contract_are_one_line_and_vanish_with_their_files(lake):
    for number in range(12):
        lake.put(f"nobody {number:02}/a.csv", BAD)
    lake.put("companydata/a.csv", company_csv(1))
    assert lake.command("once").returncode == 0

    told = lake.status()
    assert [name for name in told["datasets"] if "nobody" in name] == []
    assert (told["no_contract"]["folders"], told["no_contract"]["files"]["refused"]) == (12, 12)
    assert told["files"]["refused"] == 12
    shown = lake.command("status").stdout
    assert "no contract (12)" in shown
    assert "raw/nobody 00/, " in shown
    assert "and 2 more" in shown
    assert lake.command("verify").returncode == 0

    for item in list(lake.store.list("raw/nobody")):
        lake.store.delete(item.key)
    assert lake.command("once").returncode == 0
    assert (lake.status()["no_contract"]["folders"], lake.status()["no_contract"]["names"]) == (0, [])
    assert "no contract" not in lake.command("status").stdout


def test_the_status_of_all_has_what_the_status_of_json_has(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1) + b"too,few\n")
    assert local_lake.command("once").returncode == 0
    shown = local_lake.command("status").stdout
    told = local_lake.status()
    for name in (*told["files"], *told["rows"]):
        assert f" {name} " in shown
    [numbers] = [line.split()[1:5] for line in shown.splitlines() if line.split()[:2] == ["all", "25"]]
    assert numbers == ["25", "24", "0", "1"]


def _load_for_ever() -> None:
    executor.load = lambda *_: time.sleep(600)


def test_a_status_shows_which_process_loads_which_file(local_lake):
    """Also at once when the load begins, and of a pipeline that was killed; not of one that ended in order."""
    local_lake.put("companydata/a.csv", company_csv(1))
    running = local_lake.start("run", prepare=_load_for_ever)
    until(lambda: list(local_lake.store.list("published/status")))
    worker = until(lambda: busy(local_lake.status()["executor"]), what="a process that loads")
    assert int(worker["name"]) in running.workers
    assert (worker["loads"], worker["files"]) == (1, ["raw/companydata/a.csv"])
    # The workers are forks of the tests' server. A server of its own would take the tests a second at each start.
    assert subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True).stdout == ""
    running.kill()
    assert busy(json.loads(local_lake.command("status", "--json").stdout)["executor"]) == worker
    assert re.search(r"^loads: 2 processes", local_lake.command("status").stdout, re.MULTILINE)

    with local_lake.pipeline() as running:
        local_lake.wait_loaded("companydata/a.csv")
        until(lambda: len(local_lake.status()["executor"]["workers"]) == 2)
        assert not busy(local_lake.status()["executor"])
        [pid] = re.findall(r"loaded key=raw/companydata/a.csv .* worker=(\d+)", running.log)
        assert int(pid) in running.workers
    assert local_lake.status()["executor"] is None
    assert json.loads(local_lake.command("status", "--json").stdout)["executor"] is None
    assert "loads:" not in local_lake.command("status").stdout


def busy(executor: dict | None) -> dict | None:
    return next((worker for worker in executor["workers"] if worker["loads"]), None) if executor else None


def test_the_log_says_what_became_of_each_file(lake):
    spoiled, odd, text = "companydata/a'b\"c.csv", "companydata/a\u202eb.csv", "companydata/x.pdf"
    with lake.pipeline(SWEEP_SECONDS="1") as program:
        until(lambda: list(lake.store.list("published/status")))
        for name in (spoiled, odd, "nobody/a.csv"):
            lake.put(name, company_csv(1) + b"too,few\n" if name == spoiled else company_csv(2))
            lake.wait_loaded(name)
        for content in (b"a", b"b"):  # whoever writes a log there would fill ours
            lake.put(text, content)
            until(lambda: f"ignored key=raw/{text}" in program.log)
        time.sleep(2.5)  # listings that see it too
        lines = [line.split(" ", 1)[1] for line in program.log.splitlines()]
    [ignored] = [line for line in lines if "ignored key" in line]
    assert re.match(rf"INFO pipeline\.[\w.]+ ignored key=raw/{text} reason=", ignored)
    [rejected] = [line for line in lines if line.startswith("WARNING pipeline.service.outcomes loaded")]
    assert f"key={json.dumps('raw/' + spoiled)} rows=25 kept=24 dropped=0 rejected=1 ms=" in rejected
    assert "line 26" in rejected
    [good] = [line for line in lines if line.startswith("INFO pipeline.service.outcomes loaded")]
    assert f"key={json.dumps('raw/' + odd)} rows=24 kept=24 dropped=0 rejected=0 ms=" in good
    [refused] = [line for line in lines if "outcomes refused" in line]
    assert refused.startswith("WARNING")


def test_a_wrong_question_is_answered_in_one_line(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1))
    assert local_lake.command("once").returncode == 0
    for arguments, named in (
        (("status", "raw/companydata/x.csv"), "raw/companydata/x.csv"),
        (("status", "raw/companydata/\udcff.csv"), r"\udcff.csv"),
        (("replay", "raw/companydata/a.csv", "raw/companydata/x.csv"), "raw/companydata/x.csv"),
        (("replay",), "--stale"),
        (("replay", "--all", "raw/companydata/a.csv"), "--all"),
        (("status", "--status", "odd"), "'refused'"),
    ):
        ended = local_lake.command(*arguments)
        assert ended.returncode == 2
        assert named in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_dry_run_says_what_would_come_and_writes_nothing(lake):
    lake.put("companydata/a.csv", company_csv(1))
    lake.put("companydata/b.csv", company_csv(2) + b"1-Jan,A,B,many,1,\n")
    lake.put("companydata/c.csv", BAD)
    before = [(item.key, item.etag) for item in lake.store.list()]
    good, bad, refused = (lake.command("dry-run", f"raw/companydata/{name}.csv") for name in "abc")
    assert (good.returncode, bad.returncode, refused.returncode) == (0, 1, 1)
    assert good.stdout.endswith("would be loaded: 24 read, 24 kept, 0 dropped, 0 rejected; nothing was written\n")
    assert "line 26, column Sold: type: expected an integer" in bad.stdout
    assert "would be loaded: 25 read, 24 kept, 0 dropped, 1 rejected" in bad.stdout
    assert "the file: header: " in refused.stdout
    assert "would be refused" in refused.stdout
    assert [(item.key, item.etag) for item in lake.store.list()] == before
    assert not lake.state.exists()
    for key, said in (("raw/companydata/x.csv", "no such file"), ("a.csv", "raw/"), ("raw/a.csv", "raw/<dataset>/")):
        ended = lake.command("dry-run", key)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert said in ended.stderr


def test_replay_loads_again_to_the_same_bytes(lake):
    files = {name: company_csv(number) for number, name in enumerate("abc")}
    for name, content in files.items():
        lake.put(f"companydata/{name}.csv", content)
    assert lake.command("once").returncode == 0
    before = lake.outputs()

    assert "1 file waits" in lake.command("replay", "raw/companydata/a.csv").stdout
    assert lake.command("once").returncode == 0
    assert history(lake) == 4

    with lake.pipeline(SWEEP_SECONDS="600"):  # one that runs takes them at once
        until(lambda: lake.status()["writer"])
        assert "3 files wait" in lake.command("replay", "--all").stdout
        until(lambda: history(lake) == 7)
    assert lake.outputs() == before
    assert lake.sums() == company_sums([*files.values()])


def test_rows_of_deleted_files_are_taken_back_where_that_is_asked_for(lake):
    for number, name in enumerate("abc"):
        lake.put(f"companydata/{name}.csv", company_csv(number) + b"too,few\n")
    lake.put("companydata/refused.csv", BAD)
    assert lake.command("once").returncode == 0
    for name in ("a", "refused"):
        lake.store.delete(f"raw/companydata/{name}.csv")

    assert lake.command("once", "--retract-deleted").returncode == 0

    names = [f"{folder}/companydata/{name}.csv.parquet" for folder in ("clean", "rejected") for name in "bc"]
    assert set(lake.outputs()) == set(names)
    assert lake.sums() == company_sums([company_csv(1), company_csv(2)])
    told = lake.status()
    assert (told["files"]["missing"], told["files"]["loaded"]) == (2, 2)
    assert told["rows"] == {"read": 50, "kept": 48, "dropped": 0, "rejected": 2}

    lake.put("companydata/a.csv", company_csv(9))  # and it may come back
    assert lake.command("once", "--retract-deleted").returncode == 0
    assert lake.sums() == company_sums([company_csv(1), company_csv(2), company_csv(9)])


def test_deletes_are_taken_back_while_it_runs_and_a_file_that_is_back_is_kept(lake):
    for number, name in enumerate("ab"):
        lake.put(f"companydata/{name}.csv", company_csv(number))
    with lake.pipeline(SWEEP_SECONDS="1", PIPELINE_RETRACT_DELETED="on"):
        lake.wait_loaded("companydata/a.csv", "companydata/b.csv")
        lake.store.delete("raw/companydata/a.csv")
        until(lambda: lake.sums() == company_sums([company_csv(1)]))
        lake.put("companydata/a.csv", company_csv(0))
        lake.wait_loaded("companydata/a.csv")
        assert lake.sums() == company_sums([company_csv(0), company_csv(1)])


def test_nothing_is_taken_back_where_no_known_file_is_listed(lake):
    for number, name in enumerate("ab"):
        lake.put(f"companydata/{name}.csv", company_csv(number))
    assert lake.command("once").returncode == 0
    before = lake.outputs()
    for name in "ab":
        lake.store.delete(f"raw/companydata/{name}.csv")

    ended = lake.command("once", "--retract-deleted")

    assert "nothing retracted" in ended.stderr
    assert lake.outputs() == before
    assert lake.status()["rows"]["kept"] == 48


def test_what_is_gone_with_its_source_does_not_count(lake):
    """Somebody removed a file and what was made of it: its rows are nowhere, so no sum may hold them."""
    for number, name in enumerate("ab"):
        lake.put(f"companydata/{name}.csv", company_csv(number))
    assert lake.command("once").returncode == 0
    lake.store.delete("raw/companydata/a.csv")
    assert lake.command("once").returncode == 0
    lake.store.delete("clean/companydata/a.csv.parquet")
    assert "forgotten" in lake.command("once").stderr
    assert lake.sums() == company_sums([company_csv(1)])
    assert lake.status()["files"]["missing"] == 1


def test_rejects_that_were_lost_or_spoiled_are_made_again(lake):
    lake.put("companydata/a.csv", company_csv(1) + b"too,few\n")
    lake.put("companydata/b.csv", BAD)
    assert lake.command("once").returncode == 0
    before = lake.outputs()
    lake.store.delete("rejected/companydata/a.csv.parquet")
    lake.store.put("rejected/companydata/b.csv.parquet", b"spoiled")

    assert lake.command("once").returncode == 0
    assert lake.outputs() == before


def test_a_refused_file_that_is_gone_is_known_again_without_its_ledger(lake):
    lake.put("companydata/a.csv", company_csv(1))
    lake.put("companydata/b.csv", BAD)
    assert lake.command("once").returncode == 0
    lake.store.delete("raw/companydata/b.csv")
    (lake.state / "ledger.sqlite").unlink()
    assert lake.command("once").returncode == 0
    row = lake.loads()["companydata/b.csv"]
    assert (row["status"], row["first_problem"][:10]) == ("missing", "the header")


def test_what_is_no_output_of_ours_makes_nothing_load_again(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1))
    assert local_lake.command("once").returncode == 0
    for key in ("clean/companydata/a.csv", "rejected/companydata/a.csv", "rejected/companydata/a.csv.parquet.txt"):
        local_lake.store.put(key, b"x")
    assert local_lake.command("once").returncode == 0
    assert history(local_lake) == 1


def test_a_damaged_status_is_written_anew_and_a_damaged_name_of_the_lake_is_told(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1))
    local_lake.store.put("published/status.json", b"")
    assert local_lake.command("once").returncode == 0
    assert local_lake.status()["files"]["loaded"] == 1
    local_lake.store.put("published/lake.json", b"{")
    ended = local_lake.command("once")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "published/lake.json" in ended.stderr


def test_a_link_that_leads_out_of_the_lake_is_refused_and_not_followed(local_lake, tmp_path):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(company_csv(1))
    local_lake.put("companydata/a.csv", company_csv(2))
    (local_lake.store.root / "raw/companydata/link.csv").symlink_to(outside / "secret.csv")
    (local_lake.store.root / "raw/companydata/folder").symlink_to(outside, target_is_directory=True)

    assert local_lake.command("once").returncode == 0

    dry = local_lake.command("dry-run", "raw/companydata/link.csv")
    assert dry.returncode == 2
    assert "leads out" in dry.stderr
    assert dry.stderr.count("\n") == 1
    assert local_lake.sums() == company_sums([company_csv(2)])
    row = local_lake.loads()["companydata/link.csv"]
    assert (row["status"], row["rows_read"]) == ("refused", 0)
    assert "leads out" in row["first_problem"]


def test_nothing_is_written_through_a_link_and_what_failed_is_loaded_by_hand(local_lake, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    local_lake.put("companydata/a.csv", company_csv(1))
    (local_lake.store.root / "clean").symlink_to(tmp_path / "elsewhere", target_is_directory=True)

    assert local_lake.command("once").returncode == 0

    assert list((tmp_path / "elsewhere").iterdir()) == []
    [row] = status(local_lake, "--status", "failed")
    assert row["attempts"] == MAX_ATTEMPTS
    assert "leads out" in row["first_problem"]
    (local_lake.store.root / "clean").unlink()
    assert local_lake.command("replay", "--status", "failed").returncode == 0
    assert local_lake.command("once").returncode == 0
    assert local_lake.sums() == company_sums([company_csv(1)])
