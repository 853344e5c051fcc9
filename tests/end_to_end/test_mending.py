"""Rejected records from export to mended: exported, corrected, put back, and shown as mended; also after kill -9."""

import io
import json
import shlex
import signal
from collections.abc import Iterator
from functools import partial

import pandas as pd
import pytest
from playwright.sync_api import expect

from tests.support.browser import click_row
from tests.support.dying import Death
from tests.support.lake import HEADER, Lake, history
from tests.support.minio_server import until
from tests.support.pages import serving

KEY = "raw/companydata/a.csv"
GOOD = "1-Jan,Books,S,5,1,9"
BAD = ["2-Jan,Books,S,many,1,9", "2-Jan,Books,S,6,none,9", '2-Jan,Bo"oks,S,7,1,9', "2-Jan,Books,S,8,1"]


def content(*records: str) -> bytes:
    return "\n".join([HEADER, *records, ""]).encode()


def export(lake: Lake, key: str = KEY) -> str:
    """Return what `rejects export` writes, or its error."""
    told = lake.command("rejects", "export", key, "--out", "-")
    return told.stdout or told.stderr


def put(lake: Lake, name: str, text: str, *corrections: tuple[str, str]) -> None:
    for wrong, right in corrections:
        assert wrong in text, text
        text = text.replace(wrong, right)
    lake.put(f"companydata/{name}", text.encode())


def as_workbook(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_excel(out, index=False)
    return out.getvalue()


FRAME = pd.DataFrame(
    [
        ["1-Jan", "Books", "S", 5, 1, 9],
        ["2-Jan", "Books", "S", -5, 1, 9],
        ["2-Jan", "Books", None, 6, 1, 9],
    ],
    columns=HEADER.split(","),
)
TABLES = {
    "xlsx": (as_workbook, partial(pd.read_excel, engine="calamine")),
    "parquet": (pd.DataFrame.to_parquet, pd.read_parquet),
}


def mended(lake: Lake) -> dict[str, list[int]]:
    """Return the mended lines of each file, as they are published."""
    return {name.removeprefix("companydata/"): row["mended"] for name, row in lake.loads().items()}


def pipeline_log(lake: Lake) -> str:
    return (lake.state.parent / "pipeline.log").read_text()


def test_a_person_corrects_rejects_and_puts_them_back(lake):
    """Some at first, the rest later; whatever then happens to the files, what is shown as mended is in the rows."""
    lake.put("companydata/a.csv", content(GOOD, *BAD))
    with lake.pipeline():
        lake.wait_loaded("companydata/a.csv")
        text = export(lake)
        assert [line.rpartition(",")[0] for line in text.splitlines()] == [HEADER, *BAD]
        put(lake, "a.fixed-1.csv", text, ("many", "5"), ("S,8,1,", "S,8,1,9,"))
        lake.wait_loaded("companydata/a.fixed-1.csv")
        assert mended(lake) == {"a.csv": [2 + 1, 6], "a.fixed-1.csv": []}
        assert lake.sums() == {"Books": [3, 5 + 5 + 8, 3, 27]}

        put(lake, "a.fixed-2.csv", export(lake), ("none", "1"), ('Bo"oks', "Books"))
        lake.wait_loaded("companydata/a.fixed-2.csv")
        assert mended(lake) == {"a.csv": [3, 4, 5, 6], "a.fixed-1.csv": [3, 4], "a.fixed-2.csv": []}
        assert lake.sums() == {"Books": [5, 31, 5, 45]}
        assert "are mended: nothing is left to correct" in export(lake)
        shown = lake.command("status", KEY).stdout.splitlines()
        assert [cell.strip() for cell in shown[-2].split("│")[3:6]] == ["1", "4", "4"]

        lake.put("companydata/a.fixed-2.csv", b"nonsense\n")  # refused: its rows go, and so do its marks
        lake.wait_loaded("companydata/a.fixed-2.csv")
        assert mended(lake)["a.csv"] == [3, 6]
    assert lake.command("verify").returncode == 0


@pytest.mark.parametrize(("suffix", "write", "read"), [(suffix, *how) for suffix, how in TABLES.items()], ids=TABLES)
def test_a_person_corrects_tables(lake, tmp_path, suffix, write, read):
    """Workbooks and Parquet, with pandas: one row at first, the other from an export of the fixed file."""
    first, second = tmp_path / f"a.fixed-1.{suffix}", tmp_path / f"a.fixed-2.{suffix}"
    lake.put(f"companydata/a.{suffix}", write(FRAME))
    lines = [3, 4] if suffix == "xlsx" else [2, 3]
    with lake.pipeline():
        lake.wait_loaded(f"companydata/a.{suffix}")
        told = lake.command("rejects", "export", f"raw/companydata/a.{suffix}", "--out", str(first))
        assert f"then put it as raw/companydata/{first.name}" in told.stderr
        frame = read(first)
        assert [mark.partition("@")[0] for mark in frame["_mends"]] == [*map(str, lines)]
        frame.loc[0, "Sold"] = 5
        lake.put(f"companydata/{first.name}", write(frame))
        lake.wait_loaded(f"companydata/{first.name}")
        assert mended(lake) == {f"a.{suffix}": lines[:1], first.name: []}

        lake.command("rejects", "export", f"raw/companydata/{first.name}", "--out", str(second))
        frame = read(second)
        frame["Store"] = "S"
        lake.put(f"companydata/{second.name}", write(frame))
        lake.wait_loaded(f"companydata/{second.name}")
        assert mended(lake)[f"a.{suffix}"] == lines
        assert lake.sums() == {"Books": [3, 16, 3, 27]}
        assert "are mended: nothing is left to correct" in export(lake, f"raw/companydata/a.{suffix}")
    assert lake.command("verify").returncode == 0


def test_marks_end_with_the_version_that_they_are_of_and_with_their_file(local_lake):
    lake = local_lake
    lake.put("companydata/a.csv", content(GOOD, *BAD[:2]))
    assert lake.finish("once") == 0
    put(lake, "a.fixed-1.csv", export(lake), ("many", "5"), ("none", "1"))
    assert lake.finish("once") == 0
    assert mended(lake)["a.csv"] == [3, 4]

    lake.store.delete("raw/companydata/a.fixed-1.csv")
    assert lake.finish("once") == 0
    assert mended(lake)["a.csv"] == [3, 4]  # its rows are there
    assert lake.finish("once", PIPELINE_RETRACT_DELETED="on") == 0
    assert mended(lake)["a.csv"] == []

    put(lake, "a.fixed-1.csv", export(lake), ("many", "5"), ("none", "1"))
    assert lake.finish("once") == 0
    lake.put("companydata/a.csv", content(GOOD, BAD[1], BAD[0], GOOD))
    assert lake.finish("once") == 0
    assert mended(lake)["a.csv"] == []  # another version, whose records may be others
    [line] = [line for line in pipeline_log(lake).splitlines() if "fixed files stay" in line]
    assert " WARNING " in line
    assert "key=raw/companydata/a.csv files=raw/companydata/a.fixed-1.csv" in line
    assert lake.command("verify").returncode == 0


def test_what_is_shown_as_mended_is_what_an_export_leaves_out(local_lake):
    """Marks of lines that were not rejected mend nothing, nor does a fixed file in another folder than it belongs."""
    lake = local_lake
    lake.put("companydata/deep/a.csv", content(GOOD, *BAD))
    assert lake.finish("once") == 0
    key = "raw/companydata/deep/a.csv"
    header, *records = export(lake, key).splitlines()
    of = records[0].rpartition("@")[2]
    counted_up = [f"{GOOD},{line}@{of}" for line in (3, 7, 1)]  # as a spreadsheet does, and so could anybody
    put(lake, "a.fixed-1.csv", "\n".join([header, *counted_up]))
    for folder in ("other", "deep/deeper"):
        put(lake, f"{folder}/a.fixed-1.csv", "\n".join([header, records[1]]), ("none", "1"))
    assert lake.finish("once") == 0

    assert (mended(lake)["deep/a.csv"], lake.loads()["companydata/deep/a.csv"]["rows_mended"]) == ([3], 1)
    assert export(lake, key).splitlines() == [header, *records[1:]]
    [row] = json.loads(lake.command("status", key, "--json").stdout)
    assert (row["rows_rejected"], row["rows_mended"], row["mended"]) == (4, 1, [3])
    assert lake.command("verify").returncode == 0

    away = lake.command("status", key, LAKE_URL="s3://nobody", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert (away.returncode, "the mended rejects are not counted" in away.stderr) == (0, True)
    assert [cell.strip() for cell in away.stdout.splitlines()[-2].split("│")[3:6]] == ["1", "4", "-"]


@pytest.fixture
def address(local_lake, tmp_path) -> Iterator[str]:
    log = tmp_path / "dashboard.log"
    with serving(log, LAKE_URL=local_lake.store.url) as url:
        yield url
    assert "Traceback" not in log.read_text()


@pytest.mark.needs_browser
def test_a_person_mends_with_the_page(local_lake, tmp_path, address, browser_page):
    """The open problem has the file to correct, and what to do with it; put back, its reject is shown as mended."""
    lake, file = local_lake, tmp_path / "download.csv"
    lake.put("companydata/a.csv", content(GOOD, *BAD[:2]))
    with lake.pipeline():
        lake.wait_loaded("companydata/a.csv")
        browser_page.goto(f"{address}/rejects")
        table = browser_page.get_by_test_id("stDataFrame").last
        expect(table).to_contain_text("many")
        expect(browser_page.get_by_text("State", exact=True)).to_have_count(0)
        click_row(browser_page, 0)
        with browser_page.expect_download() as download:
            browser_page.get_by_role("button", name="Download 2 rejected records of this file").click()
        assert download.value.suggested_filename == "a.fixed-1.csv"
        expect(browser_page.get_by_text("make put FILE=a.fixed-1.csv DATASET=companydata")).to_be_visible()
        download.value.save_as(file)

        put(lake, "a.fixed-1.csv", file.read_text(), ("many", "5"))
        lake.wait_loaded("companydata/a.fixed-1.csv")
        expect(browser_page.get_by_role("button", name="Download 1 rejected record of this file")).to_be_visible()
        browser_page.get_by_role("button", name="Close").click()
        expect(table).to_contain_text("mended")
        expect(browser_page.get_by_text("Mended, and counted too: 1 of 3 rejected records.")).to_be_visible()
        state = browser_page.get_by_label("State", exact=True)
        state.fill("open")
        state.press("Enter")
        expect(table).not_to_contain_text("many")
        expect(table).to_contain_text("none")


@pytest.mark.needs_browser
@pytest.mark.parametrize(("suffix", "write", "read"), [(suffix, *how) for suffix, how in TABLES.items()], ids=TABLES)
def test_the_page_has_rows_of_a_table_as_a_file(local_lake, address, browser_page, suffix, write, read):
    lake = local_lake
    lake.put(f"companydata/a.{suffix}", write(FRAME))
    assert lake.finish("once") == 0
    browser_page.goto(f"{address}/rejects")
    expect(browser_page.get_by_test_id("stDataFrame").last).to_contain_text("-5")
    click_row(browser_page, 0)
    with browser_page.expect_download() as download:
        browser_page.get_by_role("button", name="Download 2 rejected records of this file").click()
    assert download.value.suggested_filename == f"a.fixed-1.{suffix}"
    frame = read(download.value.path())
    assert frame.columns.to_list() == [*FRAME.columns, "_mends"]
    assert frame["Sold"].to_list() == [-5, 6]


STEPS = [
    ("stage", "after"),
    ("put rejected/", "after"),
    ("put clean/", "after"),
    ("commit", "after"),
]


@pytest.mark.parametrize(("at", "when"), STEPS)
def test_kill_9_between_the_steps_of_mending(local_lake, at, when):
    """The pipeline dies while it loads a fixed file; the next start ends with the same rows and the same marks."""
    lake = local_lake
    lake.put("companydata/a.csv", content(GOOD, *BAD))
    assert lake.finish("once") == 0
    put(lake, "a.fixed-1.csv", export(lake), ("many", "5"), ("S,8,1,", "S,8,1,9,"))
    death = Death(at, when, key="a.fixed-1.csv")
    assert lake.finish("once", prepare=death, PIPELINE_WORKERS="1") == -signal.SIGKILL
    assert mended(lake) == {"a.csv": []}  # as before

    assert lake.finish("once") == 0
    assert mended(lake) == {"a.csv": [3, 6], "a.fixed-1.csv": []}
    assert lake.sums() == {"Books": [3, 18, 3, 27]}
    assert history(lake) == 2
    assert lake.command("verify").returncode == 0


def test_kill_9_between_export_put_and_load(lake):
    """Both times the pipeline is killed; a person goes on meanwhile, and each reject is mended once."""
    lake.put("companydata/a.csv", content(GOOD, *BAD))
    with lake.pipeline() as program:
        lake.wait_loaded("companydata/a.csv")
        text = export(lake)
        program.kill()
    put(lake, "a.fixed-1.csv", text, ("many", "5"), ("S,8,1,", "S,8,1,9,"))
    with lake.pipeline(prepare=Death("take", "after", "a.fixed-1.csv")) as program:
        until(lambda: not program.alive, what="its end")
    assert "died by itself: after take raw/companydata/a.fixed-1.csv" in program.log
    assert mended(lake) == {"a.csv": []}
    assert len(export(lake).splitlines()) == 1 + 4

    assert lake.finish("once") == 0
    assert mended(lake) == {"a.csv": [3, 6], "a.fixed-1.csv": []}
    assert len(export(lake).splitlines()) == 1 + 2
    assert lake.sums() == {"Books": [3, 18, 3, 27]}
    assert history(lake) == 2
    assert lake.command("verify").returncode == 0


def test_a_ledger_that_is_gone_is_told_by_the_objects(local_lake):
    lake = local_lake
    lake.put("companydata/a.csv", content(GOOD, *BAD))
    assert lake.finish("once") == 0
    put(lake, "a.fixed-1.csv", export(lake), ("many", "5"))
    assert lake.finish("once") == 0
    lake.store.delete("raw/companydata/a.fixed-1.csv")
    (lake.state / "ledger.sqlite").unlink()
    assert lake.finish("once") == 0
    assert mended(lake)["a.csv"] == [3]  # by the footer of the clean object, which is adopted


def test_the_command_to_put_a_file_back_can_be_given_to_a_shell_as_it_is(local_lake, tmp_path):
    """Whatever the name is, for anyone may have put the file. A file of tabs has its marks after a tab."""
    lake, key = local_lake, "raw/things/a $(exit 3) 'b'.tsv"
    lake.environ["PIPELINE_DATASETS"] = str(tmp_path)
    described = {"name": "things", "schema": {"fields": [{"name": "id", "type": "integer"}, {"name": "what"}]}}
    (tmp_path / "things.json").write_text(json.dumps(described))
    lake.store.put(key, b"id\twhat\nx\ty\n")
    assert lake.finish("once") == 0
    told = lake.command("rejects", "export", key, "--out", "-")
    assert told.stdout.startswith("id\twhat\t_mends\nx\ty\t2@"), told.stderr
    [line] = [line for line in told.stderr.splitlines() if "--key" in line]
    assert shlex.split(line[line.index("python ") :])[-2:] == ["--key", key.replace(".tsv", ".fixed-1.tsv")]


def test_the_command_writes_no_file_that_is_there(local_lake, tmp_path):
    lake, file = local_lake, tmp_path / "out.csv"
    lake.put("companydata/a.csv", content(GOOD, *BAD))
    assert lake.finish("once") == 0
    told = lake.command("rejects", "export", KEY, "--out", str(file))
    assert told.returncode == 0
    assert f"wrote {file}: 4 rejected records of {KEY}" in told.stderr
    assert "then put it as raw/companydata/a.fixed-1.csv" in told.stderr
    assert file.read_text().startswith(f"{HEADER},_mends\n")
    for arguments, reason in (
        ([KEY, "--out", str(file)], "is there already: remove it, or name another file"),
        (["raw/companydata/none.csv"], "has no rejected records"),
        (["clean/a.csv"], "expected one that begins with raw/"),
        (["raw/nobody/a.csv"], "there is no contract"),
    ):
        told = lake.command("rejects", "export", *arguments)
        assert (told.returncode, reason in told.stderr) == (2, True), told.stderr
