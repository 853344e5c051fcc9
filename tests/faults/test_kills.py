"""Kill -9 before or after each step of a load, of publishing and of a sweep: the next start puts all of it right."""

import signal
import subprocess
import sys
from itertools import product

import pytest

from tests.support.dying import Death
from tests.support.lake import Lake, company_csv
from tests.support.truth import BAD_ROWS, SPOILT, assert_true, sums_of, truth_of

# Versions of each file; those of the second column are loaded before the kills begin.
FILES = {
    "new.csv": (None, company_csv(1) + BAD_ROWS),
    "replaced.csv": (company_csv(2) + BAD_ROWS, company_csv(3)),
    "refused.csv": (company_csv(4), SPOILT),
    "mended.csv": (SPOILT, company_csv(5)),
}


def prepare(lake: Lake) -> None:
    for versions in zip(*FILES.values(), strict=True):
        for name, content in zip(FILES, versions, strict=True):
            if content is not None:
                lake.put(f"companydata/{name}", content)
        if None in versions:
            assert lake.finish("once") == 0


def possible_sums() -> list[dict[str, list[int]]]:
    """Return every summary that was true at some moment, whichever of the files had their new version by then."""
    key = "raw/companydata/{}"
    truths = [[truth_of(key.format(name), one or SPOILT) for one in versions] for name, versions in FILES.items()]
    return [sums_of(chosen) for chosen in product(*truths)]


def die(lake: Lake, death: Death, workers: int = 1) -> bool:
    """Run it with a death in it; say whether it died, or found nothing to die at and did all that there was to do."""
    code = lake.finish("once", prepare=death, PIPELINE_WORKERS=str(workers))
    assert code in (0, -signal.SIGKILL), f"exit code {code}, see {lake.state.parent}"
    assert lake.sums() in possible_sums()
    return code != 0


def die_at_each(lake: Lake, at: str, when: str) -> int:
    """Die once at this step of each file; give the number of deaths. The last run finds no more to die at."""
    deaths = 0
    while die(lake, Death(at, when, nth=1 if deaths == 0 or at == "commit" else 2)):
        deaths += 1  # who died is the first of the next run, and lives; then the next one dies
    return deaths


# The steps and how many of the files come to each. After a step is before the next one, so that most need one death.
LOAD_STEPS = [
    ("take raw/", "after", 4),
    ("stage", "before", 4),
    ("put rejected/", "before", 2),
    ("put rejected/", "after", 2),
    ("delete rejected/", "before", 2),
    ("delete rejected/", "after", 2),
    ("rename clean/", "before", 3),
    ("put clean/", "after", 3),
    ("delete clean/", "after", 1),
    ("commit", "after", 2),  # two together, for nobody knows yet how slow they are
]


@pytest.mark.parametrize(("at", "when", "deaths"), LOAD_STEPS)
def test_killed_at_a_step_of_a_load(local_lake, at, when, deaths):
    prepare(local_lake)
    assert die_at_each(local_lake, at.replace("rename ", f"rename {local_lake.environ['LAKE_URL']}/"), when) == deaths
    assert_true(local_lake)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", ["stage", "put rejected/", "put clean/", "delete clean/", "commit"])
def test_killed_while_its_worker_processes_load(local_lake, at, when):
    prepare(local_lake)
    assert die(local_lake, Death(at, when), workers=4)
    in_a_worker = "died in a worker process" in (local_lake.state.parent / "pipeline.log").read_text()
    assert in_a_worker == (at not in ("delete clean/", "commit"))  # the service does these
    assert local_lake.finish("once", PIPELINE_WORKERS="4") == 0
    assert_true(local_lake)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["companydata/summary.parquet", "loads.parquet", "status.json"])
def test_killed_while_it_publishes(local_lake, name, when):
    prepare(local_lake)
    for nth in (1, 2):  # its first is of what was there, or its signing in; its second of what is new
        assert die(local_lake, Death(f"put published/{name}", when, nth=nth))
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


@pytest.mark.parametrize(("at", "when"), [("list raw/", "after"), ("reconcile", "before"), ("reconcile", "after")])
def test_killed_while_it_sweeps(local_lake, at, when):
    prepare(local_lake)
    for _ in range(2):
        assert die(local_lake, Death(at, when))
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_takes_over_what_a_lost_ledger_knew(local_lake, when):
    prepare(local_lake)
    assert local_lake.finish("once") == 0
    local_lake.store.delete("raw/companydata/new.csv")
    for file in local_lake.state.glob("ledger.*"):
        file.unlink()
    local_lake.store.delete("published/status.json")  # its writer is dead, and a new ledger would wait for it
    assert die(local_lake, Death("adopt", when))
    assert local_lake.finish("once") == 0
    assert_true(local_lake, {"companydata/new.csv": FILES["new.csv"][1]})


@pytest.mark.needs_engine
@pytest.mark.parametrize(
    ("at", "when", "deaths"),
    [
        ("put rejected/", "before", 2),
        ("put clean/", "before", 3),
        ("put clean/", "after", 3),
        ("delete clean/", "after", 1),
    ],
)
def test_killed_around_the_puts_in_a_bucket(bucket_lake, at, when, deaths):
    """The folder has shown each step; here the object is in another process, which sees a connection end."""
    prepare(bucket_lake)
    assert die_at_each(bucket_lake, at, when) == deaths
    assert_true(bucket_lake)
    log = (bucket_lake.state.parent / "pipeline.log").read_text()
    assert "put refused" not in log, "the next start looks at what the one before has put"


def test_killed_while_it_makes_its_ledger(local_lake):
    local_lake.put("companydata/new.csv", FILES["new.csv"][1])
    assert local_lake.finish("once", prepare=Death("sql CREATE TABLE IF NOT EXISTS history")) == -signal.SIGKILL
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


@pytest.mark.needs_engine
@pytest.mark.parametrize("at", ["put rejected/", "put clean/"])
def test_killed_and_then_the_version_before_comes_back(bucket_lake, at):
    """Its bytes have the etag of a result that the ledger knows, and the objects are of another version already."""
    bucket_lake.put("companydata/a.csv", company_csv(1))
    assert bucket_lake.finish("once") == 0
    bucket_lake.put("companydata/a.csv", company_csv(2) + BAD_ROWS)
    assert bucket_lake.finish("once", prepare=Death(at, "after")) == -signal.SIGKILL
    bucket_lake.put("companydata/a.csv", company_csv(1))
    assert bucket_lake.finish("once") == 0
    assert_true(bucket_lake)


def test_the_switch_as_a_program(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1))
    switch = [sys.executable, "-m", "tests.support.dying", "--at", "put clean/", "--after", "--", "once"]
    assert subprocess.run(switch, env=local_lake.environ, capture_output=True).returncode == -signal.SIGKILL
    assert local_lake.published("published/loads.parquet") in (None, [])
    assert local_lake.command("once").returncode == 0
    assert_true(local_lake)
