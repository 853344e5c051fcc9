"""Bad days of a cluster: whatever happens to its members or between them, nothing is lost and nothing twice."""

import os
import shutil
import signal
from pathlib import Path

import distributed.scheduler
import pytest

from lake.certificates import keep_certificates
from lake.layout import LAKE
from lake.stores.users import User, prepare
from pipeline.service import take_up
from pipeline.service.cluster import connection, version, worker
from tests.support.cluster import Cluster, cluster_of
from tests.support.lake import Lake, company_csv
from tests.support.minio_server import MinioServer, free_port, until
from tests.support.program import Program
from tests.support.storm import new_files, overwrites, storm
from tests.support.tcp_proxy import cable_to
from tests.support.truth import assert_true

pytestmark = pytest.mark.needs_engine

# The first time that it is asked to load a file named `held`, it waits for another file: the test decides when.
GATED = """
import time
from pathlib import Path

HERE = Path(__file__).parent

def transform(frame):
    if "held" in set(frame["way"]) and not (HERE / "began").exists():
        (HERE / "began").touch()
        while not (HERE / "go on").exists():
            time.sleep(0.02)
    return frame
"""
CONTRACT = '{"name": "gated", "schema": {"fields": [{"name": "way"}]}}'


def impatient() -> None:
    """Have a scheduler give a silent worker up after five seconds."""
    connection.CONFIG["distributed.scheduler.worker-ttl"] = "2s"


def put_many(lake: Lake, first: int, files: int) -> list[str]:
    names = [f"companydata/{number}.csv" for number in range(first, first + files)]
    for number, name in enumerate(names, first):
        lake.put(name, company_csv(number, rows=300))
    return names


def assert_all_true(lake: Lake) -> None:
    """Hold the lake to the truth, without a cluster."""
    assert lake.finish("once", PIPELINE_SCHEDULER="") == 0
    assert_true(lake)


def gate(folder: Path, lake: Lake) -> Path:
    """Make the dataset whose file can be held, and use it."""
    datasets = folder / "gated"
    datasets.mkdir()
    (datasets / "gated.json").write_text(CONTRACT)
    (datasets / "gated.py").write_text(GATED)
    lake.environ["PIPELINE_DATASETS"] = str(datasets)
    return datasets


def holder(cluster: Cluster, *workers: str) -> str:
    """Return the worker that loads the file that is held."""

    def found() -> str:
        for state in cluster.executor().get("workers", []):
            if "raw/gated/held.csv" in state["files"]:
                return next(name for name in workers if cluster.name_of(name) == state["name"])
        return ""

    return until(found, what="a worker that holds the file")


def test_a_worker_that_is_killed_costs_its_batch_one_retry(bucket_lake: Lake, tmp_path):
    gate(tmp_path, bucket_lake)
    bucket_lake.put("gated/held.csv", b"way\nheld\n")
    with cluster_of(bucket_lake, tmp_path, "one", "two") as cluster, bucket_lake.pipeline() as pipeline:
        first = holder(cluster, "one", "two")
        lost = cluster.name_of(first)
        cluster.programs[first].kill()
        row = bucket_lake.wait_loaded("gated/held.csv")["gated/held.csv"]
        assert row["status"] == "loaded"
        assert f"worker lost keys=raw/gated/held.csv worker={lost} " in pipeline.log
        loaded = next(line for line in pipeline.log.splitlines() if " loaded key=raw/gated/held.csv " in line)
        assert f"worker={cluster.name_of('two' if first == 'one' else 'one')}" in loaded
        until(lambda: lost not in [state["name"] for state in cluster.executor()["workers"]], what="it is not named")
        [event] = cluster.executor()["events"]
        assert event["text"].startswith(f"worker lost: {lost}: it ended, or does not answer; loaded again")
    assert bucket_lake.finish("verify", seconds=120) == 0


def test_a_batch_that_waits_for_its_turn_is_no_reason_for_a_workers_end(bucket_lake: Lake, tmp_path):
    gate(tmp_path, bucket_lake)
    bucket_lake.put("gated/held.csv", b"way\nheld\n")
    with (
        cluster_of(bucket_lake, tmp_path, "one") as cluster,
        cluster.client() as client,
        bucket_lake.pipeline() as pipeline,
    ):
        holder(cluster, "one")
        bucket_lake.put("gated/waits.csv", b"way\nwaits\n")
        until(lambda: sorted(map(len, client.processing().values())) == [2], what="two batches at the worker")
        cluster.programs["one"].kill()
        until(lambda: "worker lost keys=raw/gated/held.csv " in pipeline.log, what="word of the loss")
        cluster.start("two")
        bucket_lake.wait_loaded("gated/held.csv", "gated/waits.csv")
        assert pipeline.log.count(" worker lost ") == 1
        assert bucket_lake.loads()["gated/waits.csv"]["attempts"] == 1
    assert bucket_lake.finish("verify", seconds=120) == 0


def test_members_keep_no_record_of_each_time_that_a_cluster_was_idle(bucket_lake: Lake, tmp_path):
    with cluster_of(bucket_lake, tmp_path, "one") as cluster, cluster.client() as client:
        assert "spans" in distributed.scheduler.DEFAULT_EXTENSIONS  # else there is nothing to leave out
        assert "spans" not in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.extensions))
        [extensions] = client.run(lambda dask_worker: list(dask_worker.extensions)).values()
        assert "spans" not in extensions


def test_the_put_of_a_worker_that_was_frozen_and_given_up_is_refused(bucket_lake: Lake, tmp_path):
    """Its batch was given to another worker meanwhile, whose result stays."""
    datasets = gate(tmp_path, bucket_lake)
    bucket_lake.put("gated/held.csv", b"way\nheld\n")
    with (
        cluster_of(bucket_lake, tmp_path, "one", "two", scheduler=impatient) as cluster,
        bucket_lake.pipeline() as pipeline,
    ):
        frozen = holder(cluster, "one", "two")
        member = cluster.programs[frozen]
        member.signal(signal.SIGSTOP)
        bucket_lake.put("gated/held.csv", b"way\nheld\nnewer\n")  # what the frozen one read is of yesterday now
        bucket_lake.wait_loaded("gated/held.csv")
        newest = bucket_lake.outputs()
        assert f"worker lost keys=raw/gated/held.csv worker={cluster.name_of(frozen)} " in pipeline.log
        (datasets / "go on").touch()  # the process of the frozen worker goes on, and puts
        line = until(
            lambda: [line for line in cluster.log(frozen).splitlines() if " put refused " in line], what="a refusal"
        )
        assert "key=clean/gated/held.csv.parquet" in line[0]
        assert bucket_lake.outputs() == newest
        member.signal(signal.SIGCONT)
        until(lambda: cluster.log(frozen).count(" joined ") == 2, what="it joins again")
    assert bucket_lake.finish("verify", seconds=120) == 0


def test_a_scheduler_that_is_killed_and_started_again_loses_nothing(bucket_lake: Lake, tmp_path):
    with cluster_of(bucket_lake, tmp_path, "one", "two") as cluster, bucket_lake.pipeline() as pipeline:
        put_many(bucket_lake, 0, 60)
        until(bucket_lake.loads, what="a first result")
        cluster.programs["scheduler"].kill()
        until(lambda: "no scheduler " in pipeline.log, what="word of its end")
        put_many(bucket_lake, 60, 20)
        said = until(lambda: cluster.executor().get("state"), what="a word on the page")
        assert said.startswith("The scheduler does not answer")
        cluster.start("scheduler")
        bucket_lake.wait_loaded(*put_many(bucket_lake, 80, 20))
        until(lambda: len(bucket_lake.loads()) == 100 and bucket_lake.status()["files"]["loaded"] == 100)
        assert "scheduler back" in pipeline.log
        assert "failed" not in pipeline.log
    assert_all_true(bucket_lake)


def test_a_scheduler_that_is_frozen_is_noticed_and_costs_no_attempt(bucket_lake: Lake, tmp_path):
    with cluster_of(bucket_lake, tmp_path, "one") as cluster, bucket_lake.pipeline() as pipeline:
        bucket_lake.wait_loaded(*put_many(bucket_lake, 0, 3))
        cluster.programs["scheduler"].signal(signal.SIGSTOP)
        names = put_many(bucket_lake, 3, 20)
        said = until(lambda: cluster.executor().get("state"), what="a word on the page")
        assert said.startswith("The scheduler does not answer")
        until(lambda: " no scheduler " in pipeline.log, what="word of it")
        cluster.programs["scheduler"].signal(signal.SIGCONT)
        assert {row["attempts"] for row in bucket_lake.wait_loaded(*names).values()} == {1}
        assert "scheduler back" in pipeline.log
    assert_all_true(bucket_lake)


def test_a_network_that_is_cut_between_scheduler_and_worker(bucket_lake: Lake, tmp_path):
    gate(tmp_path, bucket_lake)
    bucket_lake.put("gated/held.csv", b"way\nheld\n")
    with cluster_of(bucket_lake, tmp_path, scheduler=impatient) as cluster, cable_to(cluster.port) as cable:
        cluster.start("far", PIPELINE_SCHEDULER=f"tls://127.0.0.1:{cable.port}")
        cluster.wait_joined("far")
        with bucket_lake.pipeline() as pipeline:
            assert holder(cluster, "far") == "far"
            cable.cut()
            until(lambda: "worker lost keys=raw/gated/held.csv " in pipeline.log, what="the loss")
            until(lambda: "There are no workers" in cluster.executor()["state"], what="a word on the page")
            assert "no workers action=" in pipeline.log
            cable.mend()
            bucket_lake.wait_loaded("gated/held.csv")
            until(lambda: not cluster.executor()["state"], what="all is well on the page")
    assert bucket_lake.finish("verify", seconds=120) == 0


def test_a_stranger_and_a_worker_of_another_version_get_nothing(bucket_lake: Lake, minio: MinioServer, tmp_path):
    """One has a certificate of another CA, others other contracts, code or lakes; each is named with its reason."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "gated.json").write_text(CONTRACT)
    keep_certificates(tmp_path / "foreign")
    with cluster_of(bucket_lake, tmp_path) as cluster, bucket_lake.pipeline() as pipeline:
        cluster.start("stranger", CLUSTER_TLS=str(tmp_path / "foreign"))
        cluster.start("contracts", PIPELINE_DATASETS=str(other))
        cluster.start("code", prepare=other_code)
        elsewhere = minio.new_store()
        elsewhere.put(LAKE, b'{"id": "of another lake"}')
        prepare(elsewhere, [WORKER_ELSEWHERE])
        keys = {"AWS_ACCESS_KEY_ID": WORKER_ELSEWHERE.access_key, "AWS_SECRET_ACCESS_KEY": WORKER_ELSEWHERE.secret_key}
        cluster.start("lake", LAKE_URL=elsewhere.url, **keys)
        cluster.wait_joined("contracts", "code", "lake")
        until(lambda: "certificate verify failed" in cluster.log("stranger"), what="the stranger's word")
        names = put_many(bucket_lake, 0, 3)
        told = until(lambda: len(unfit(cluster)) == 3 and unfit(cluster), what="three workers on the page")
        assert "differs from the pipeline in lake" in told[cluster.name_of("lake")]
        assert "differs from the pipeline in contracts or transforms" in told[cluster.name_of("contracts")]
        assert "differs from the pipeline in code" in told[cluster.name_of("code")]
        assert "There are no workers" in cluster.executor()["state"]
        for name in ("contracts", "code", "lake"):
            assert f"worker unfit worker={cluster.name_of(name)} " in pipeline.log
        until(lambda: bucket_lake.status()["files"]["pending"] == 3, what="three files that wait")
        cluster.start("fit")
        assert {row["status"] for row in bucket_lake.wait_loaded(*names).values()} == {"loaded"}
        assert f"worker={cluster.name_of('fit')}" in pipeline.log
    assert_all_true(bucket_lake)


def unfit(cluster: Cluster) -> dict[str, str]:
    """Return why workers get nothing, by their names, as the status has it."""
    workers = cluster.executor().get("workers", [])
    return {state["name"]: state["other"] for state in workers if state["other"]}


WORKER_ELSEWHERE = User("worker", "worker-elsewhere", "secret-of-a-test")


def other_code() -> None:
    version._code = lambda: "of another day"


def look_often() -> None:
    take_up.LOOK_SECONDS = worker.LOOK_SECONDS = 0.1


def test_a_contract_changes_for_pipeline_and_workers_while_a_load_is_in_flight(bucket_lake: Lake, tmp_path):
    """The worker ends its load and joins again; one whose folder has not changed gets nothing from then on."""
    datasets, other = gate(tmp_path, bucket_lake), tmp_path / "other"
    shutil.copytree(datasets, other)
    bucket_lake.put("gated/held.csv", b"way\nheld\n")
    with cluster_of(bucket_lake, tmp_path) as cluster:
        for name in ("one", "two"):
            cluster.start(name, prepare=look_often)
        cluster.wait_joined("one", "two")
        with bucket_lake.pipeline(prepare=look_often) as pipeline:
            busy = holder(cluster, "one", "two")
            idle = "two" if busy == "one" else "one"
            cluster.start("old", PIPELINE_DATASETS=str(other))
            cluster.wait_joined("old")
            (datasets / "gated.json").write_text(CONTRACT.replace("way", "new"))
            (datasets / "gated.py").unlink()
            until(lambda: "contracts taken up" in pipeline.log, what="the contract in the pipeline")
            until(lambda: cluster.log(idle).count(" joined ") == 2, what="the idle worker, which joins again")
            bucket_lake.put("gated/new.csv", b"new\nx\n")
            assert bucket_lake.wait_loaded("gated/new.csv")["gated/new.csv"]["status"] == "loaded"
            line = next(line for line in pipeline.log.splitlines() if " loaded key=raw/gated/new.csv " in line)
            assert f"worker={cluster.name_of(idle)} " in line + " "
            reason = until(lambda: unfit(cluster).get(cluster.name_of("old")), what="a status with the old one")
            assert "contracts or transforms: bring both to one version" in reason
            assert cluster.log(busy).count(" joined ") == 1, "it has a load to end"
            (datasets / "go on").touch()
            held = bucket_lake.wait_loaded("gated/held.csv")["gated/held.csv"]
            assert (held["status"], held["stale"]) == ("loaded", True)
            until(lambda: cluster.log(busy).count(" joined ") == 2, what="the other worker, which joins again")
            assert "lost" not in pipeline.log
    assert bucket_lake.finish("verify", seconds=120) == 0


def test_a_scheduler_whose_port_is_taken_says_so(bucket_lake: Lake, tmp_path):
    with cluster_of(bucket_lake, tmp_path) as cluster:
        taken = bucket_lake.command("scheduler", SCHEDULER_PORT=str(free_port()))
        assert (taken.returncode, "error: PIPELINE_SCHEDULER: tls://127.0.0.1:" in taken.stderr) == (2, True), taken
        other = f"tls://127.0.0.1:{free_port()}"
        taken = bucket_lake.command("scheduler", PIPELINE_SCHEDULER=other, SCHEDULER_PORT=str(cluster.page))
        assert (taken.returncode, f"has port {cluster.page} of 127.0.0.1" in taken.stderr) == (2, True), taken


LEAVING = """
import os, signal, time

def transform(frame):
    way = {*frame["way"]} - {"stays"}
    if "hangs" in way:
        time.sleep(600)
    if "takes all memory" in way:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does
    if "exits" in way:
        os.abort()
    return frame
"""


def test_a_file_that_ends_what_loads_it_fails_alone(bucket_lake: Lake, tmp_path):
    """By the rule for a file that kills the pipeline; the worker itself goes on, and so do the other files."""
    datasets = tmp_path / "leaving"
    datasets.mkdir()
    (datasets / "leaving.json").write_text('{"name": "leaving", "schema": {"fields": [{"name": "way"}]}}')
    (datasets / "leaving.py").write_text(LEAVING)
    bucket_lake.environ |= {"PIPELINE_DATASETS": str(datasets), "PIPELINE_LOAD_SECONDS": "1"}
    ends = {
        "hangs": "took longer than 1 s",
        "takes all memory": "was ended by SIGKILL",
        "exits": "was ended by SIGABRT",
    }
    names = {}
    for number, way in enumerate([*ends, *["stays"] * 12]):
        names[f"leaving/{number}.csv"] = way
        bucket_lake.put(f"leaving/{number}.csv", f"way\n{way}\n".encode())
    with cluster_of(bucket_lake, tmp_path) as cluster:
        for name in ("one", "two"):
            cluster.start(name, prepare=hasty)
        cluster.wait_joined("one", "two")
        assert bucket_lake.finish("once") == 0
        assert cluster.log("one").count(" joined ") == cluster.log("two").count(" joined ") == 1
    log = (bucket_lake.state.parent / "pipeline.log").read_text()
    assert log.count(" process lost ") >= 3 * len(ends)  # also told on the page, by the last few
    loads = bucket_lake.loads()
    for name, way in names.items():
        assert loads[name]["status"] == ("failed" if way in ends else "loaded"), loads[name]
        assert ends.get(way, "") in (loads[name]["first_problem"] or "")


def hasty() -> None:
    from pipeline.service import processes

    processes.BATCH_SECONDS = 1.0


def test_kills_of_all_members_in_a_storm(bucket_lake: Lake, tmp_path):
    """The pipeline dies again and again, and so do its workers."""
    with cluster_of(bucket_lake, tmp_path, "one", "two") as cluster:
        kills = storm(bucket_lake, [new_files(0, 80), overwrites(0, 10, 10), _killed(cluster)], seed=3, pause=0.03)
        assert kills > 3
        assert_true(bucket_lake)


def _killed(cluster: Cluster):
    """Kill a worker now and then, in the place of a writer."""
    for number in range(4):
        victim: Program = cluster.programs[("one", "two")[number % 2]]
        os.kill(victim.pid, signal.SIGKILL)
        cluster.start(("one", "two")[number % 2])
        for name in range(20):
            yield f"companydata/storm {number}/{name}.csv", company_csv(name, rows=4)
