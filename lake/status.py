"""The model of `published/status.json`: the pipeline writes it, the pages read it; a null value is its default."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        present = dict(value)
        for name, item in value.items():
            if item is None:
                del present[name]
        return present


class Files(_Part):
    """Counts of source files by status."""

    pending: int = 0
    loaded: int = 0
    refused: int = 0
    failed: int = 0
    missing: int = 0
    ignored: int = 0
    stale: int = 0


class Rows(_Part):
    """Counts of rows: `kept`, `dropped` and `rejected` add up to `read`."""

    read: int = 0
    kept: int = 0
    dropped: int = 0
    rejected: int = 0


class Backlog(_Part):
    """The files that wait to be loaded."""

    files: int = 0
    bytes: int = 0
    oldest_at: AwareDatetime | None = None


class Latency(_Part):
    """Milliseconds from landed to loaded, by percentile."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class FoundBy(_Part):
    """Counts of files that were found by an event, and by a sweep."""

    event: int = 0
    sweep: int = 0


class Writer(_Part):
    """The pipeline that has the lease of the lake; `id` is its ledger's, `state` is `starting` or `running`."""

    id: str
    host: str
    pid: int
    started_at: AwareDatetime
    heartbeat_at: AwareDatetime
    state: str = "running"


class WorkerState(_Part):
    """Worker of an executor: a process, by its id, or a member of a cluster, by its name.

    `loads` is the number of files that it loads now, `files` has up to three of them, and `since` is when it began.
    `other` is why the pipeline gives it no files; empty if the worker gets files.
    """

    name: str
    host: str = ""
    version: str = ""
    other: str = ""
    loads: int = 0
    files: list[str] = []
    since: AwareDatetime | None = None


class Event(_Part):
    """Event of an executor that a person may ask about, with its time: a worker that was lost, and the like."""

    at: AwareDatetime
    text: str


class Executor(_Part):
    """Executor of the pipeline: the place where it loads files, with its workers.

    `state` is why nothing can be loaded now, in one sentence; empty if all is well. `events` has the last few, the
    newest first.
    """

    kind: Literal["main thread", "processes", "cluster"]
    address: str = ""
    state: str = ""
    workers: list[WorkerState] = []
    events: list[Event] = []


class Problem(_Part):
    """Error that ended the pipeline, with its time. It is gone once a pipeline has got through its start."""

    at: AwareDatetime
    text: str


class Edit(_Part):
    """Contract or transform as it is in the folder, and not in use: of which dataset, why, and what comes of it.

    `dataset` is empty where the folder has no contract at all.
    """

    dataset: str
    reason: str
    action: str = ""


class BuiltAnew(_Part):
    """Table that was built anew, by its prefix: when, and why."""

    table: str
    at: AwareDatetime
    reason: str


class Tables(_Part):
    """The results that Delta tables lack: of how many files, and when the oldest of them ended.

    `off`: the pipeline writes no tables, and those of earlier stay as they were. `built_anew` has the last time of each
    table to which that ever happened.
    """

    files: int = 0
    oldest_at: AwareDatetime | None = None
    off: bool = False
    built_anew: list[BuiltAnew] = []


class Progress(_Part):
    """Progress of the pipeline with one dataset, or with all; `tables` is None where there are none."""

    files: Files = Files()
    rows: Rows = Rows()
    backlog: Backlog = Backlog()
    latency_ms: Latency = Latency()
    found_by: FoundBy = FoundBy()
    tables: Tables | None = None


class NoContract(Progress):
    """The folders under `raw/` that have no contract: how many, some of their names, and their files together."""

    folders: int = 0
    names: list[str] = []


class Status(Progress):
    """All of it: progress in all, and per dataset."""

    lake: str | None = None  # its id, as in `published/lake.json`
    writer: Writer | None = None
    problem: Problem | None = None
    executor: Executor | None = None  # None: the pipeline ended in order
    edits: list[Edit] = []
    datasets: dict[str, Progress] = {}
    no_contract: NoContract = NoContract()
