"""Record what came of a batch: commit results, and settle the other tasks."""

import logging
import random
import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from common.errors import StoreUnavailable
from common.logs import fields
from common.messages import LIST_LIMIT, shortened
from lake.layout import clean_key, rejected_key
from lake.stores.base import ObjectChanged, ObjectInfo, ObjectStore, PutRefused
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.mended import fixed_files
from pipeline.ledger.source_row import now
from pipeline.load.attempts import Attempts
from pipeline.load.load import remove_outputs
from pipeline.model.task import BeingWritten, NotReady, Outcome, Result, Skipped, SourceGone, Task
from pipeline.service.availability import outage_of, pause_for_room, probe, resume_with_room
from pipeline.service.context import Pipeline
from pipeline.service.executor import LoadFailed

CHANGING_SECONDS = 0.5  # until a file is loaded again that was written to meanwhile, or whose put was refused

log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Worker that loaded a batch, and when that began, by the monotonic clock."""

    worker: str
    began: float


def record_outcomes(pipeline: Pipeline, outcomes: Mapping[Task, Outcome | Exception], origin: Origin) -> None:
    """Commit the results of a batch, and settle its other tasks."""
    outcomes = _remove_leftovers(pipeline.store, outcomes)
    results, changed = {}, False
    for task, outcome in outcomes.items():
        if isinstance(outcome, Result):
            results[task] = outcome
        changed = changed or isinstance(outcome, ObjectChanged | PutRefused)
    if results:
        _commit(pipeline, results, origin)
    if changed:
        pipeline.stop.wait(CHANGING_SECONDS)
    for task, outcome in outcomes.items():
        if not isinstance(outcome, Result):
            _settle(pipeline, task, outcome, origin)
        if not isinstance(outcome, Skipped) and not (isinstance(outcome, Exception) and outage_of(outcome)):
            resume_with_room(pipeline, task.source_key)


def _remove_leftovers(
    store: ObjectStore, outcomes: Mapping[Task, Outcome | Exception]
) -> dict[Task, Outcome | Exception]:
    """Delete the outputs that may be there and that a result does not have; an error of that is the task's outcome.

    A load deletes nothing: it may have been given up, and a delete has no condition. The service is the one writer.
    """
    attempt, ended = Attempts(), dict(outcomes)
    for task, outcome in outcomes.items():
        if isinstance(outcome, Result) and (keys := _leftovers(task, outcome)):
            ended[task] = attempt(_delete, store, keys, outcome)
    return ended


def _leftovers(task: Task, result: Result) -> list[str]:
    """Return the keys of the outputs of an earlier result that are there, or may be there."""
    rejected = task.rejected_etag != "" and result.rejected_etag is None
    clean = task.clean_etag != "" and result.clean_etag is None
    return [rejected_key(task.source_key)] * rejected + [clean_key(task.source_key)] * clean


def _delete(store: ObjectStore, keys: Sequence[str], result: Result) -> Result:
    for key in keys:
        store.delete(key)
    return result


def _commit(pipeline: Pipeline, results: Mapping[Task, Result], origin: Origin) -> None:
    """Commit results in one transaction; where the ledger refuses one of them, that task alone fails."""
    try:
        pipeline.ledger.commit(results)
    except sqlite3.Error:
        raise
    except Exception as error:
        for task, result in results.items():
            if len(results) > 1:
                _commit(pipeline, {task: result}, origin)
            else:
                _release_or_fail(pipeline, task, error, origin)
    else:
        for task, result in results.items():
            _log_result(task, result, origin)
            if task.loaded_etag and task.loaded_etag != result.record.etag:
                _log_fixed_files(pipeline.ledger, task.source_key, task.loaded_etag)


def _settle(pipeline: Pipeline, task: Task, outcome: ObjectInfo | Exception, origin: Origin) -> None:
    """Record the outcome of a task that has no new result."""
    ledger = pipeline.ledger
    if isinstance(outcome, ObjectInfo):
        ledger.mark_unchanged(task, outcome)
    elif isinstance(outcome, Skipped):
        ledger.release(task)
    elif isinstance(outcome, ObjectChanged | PutRefused):
        ledger.release(task, harmless=True)
    elif isinstance(outcome, NotReady):
        if ledger.defer(task, str(outcome)):
            level = logging.INFO if isinstance(outcome, BeingWritten) else logging.WARNING
            log.log(level, fields("waits", key=task.source_key, reason=outcome, action="try again"))
    elif not isinstance(outcome, SourceGone):
        _release_or_fail(pipeline, task, outcome, origin)
    elif not task.retract:
        ledger.mark_missing(task)
    else:
        try:
            remove_outputs(pipeline.store, task.source_key)
        except Exception as error:
            _release_or_fail(pipeline, task, error, origin)
        else:
            ledger.retract(task)
            log.info(fields("retracted", key=task.source_key))


def _release_or_fail(pipeline: Pipeline, task: Task, error: Exception, origin: Origin) -> None:
    """Count a failed attempt, unless an outage is the reason: then return the task to the queue."""
    if outage := outage_of(error):
        pipeline.ledger.release(task)
        if origin.began >= pipeline.back_at:  # an older load may have met an outage that is over
            pause_for_room(pipeline, task.source_key, outage)
        return
    if pipeline.away.is_set() or probe(pipeline):  # every other file would meet the same
        pipeline.ledger.release(task)
        pipeline.away.set()
        return
    # After the probe, during which an outage may begin and end.
    if isinstance(error, StoreUnavailable | PermissionError) and origin.began < pipeline.back_at:
        pipeline.ledger.release(task)
        return
    pause = 2**task.attempts * random.uniform(0.5, 1.5)
    kind = "" if isinstance(error, LoadFailed) else f"{type(error).__name__}: "  # its message begins with the kind
    pipeline.ledger.mark_failed(task, kind + shortened(str(error), LIST_LIMIT), pause)
    facts = {"attempt": task.attempts + 1, "worker": origin.worker, "error": repr(error)}
    log.error(fields("failed", key=task.source_key, **facts), exc_info=error)


def _log_fixed_files(ledger: Ledger, key: str, etag: str) -> None:
    """Log the fixed files of a version that was replaced: what the new version has of their rows, counts twice."""
    if files := fixed_files(ledger, key, etag):
        action = "delete them with PIPELINE_RETRACT_DELETED=on, unless the new version lacks their rows"
        log.warning(fields("fixed files stay", key=key, files=shortened(" ".join(files), LIST_LIMIT), action=action))


def _log_result(task: Task, result: Result, origin: Origin) -> None:
    record, milliseconds = result.record, (now() - task.landed_at) / 1000
    counts = {"kept": record.rows_kept, "dropped": record.rows_dropped, "rejected": record.rows_rejected}
    problem = {"problem": record.first_problem} if record.first_problem else {}
    history = {"ms": milliseconds, "found_by": task.found_by, "worker": origin.worker}
    facts = {"rows": record.rows_read, **counts, **history, **problem}
    level = logging.WARNING if problem else logging.INFO  # a file with a problem lost records, or is refused
    log.log(level, fields(record.status, key=task.source_key, **facts))
