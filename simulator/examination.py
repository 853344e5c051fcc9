"""The exam of this process: written when somebody asks for it, graded by itself as soon as all of it has its result."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from simulator.exam import Exam, make_exam
from simulator.fates import WAITING, Fates
from simulator.grade import Report, grade
from simulator.outage import Outage
from storage import ObjectStore
from storage.console import fields

FILES, SHARE = 200, 0.2  # as the command has them by default
LOOK_SECONDS = 1.0  # between two looks at what has its result

Stage = Literal["nothing", "writing", "waiting", "grading", "graded", "refused"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExamState:
    """How far an exam is: `done` of `total` files are written, or have their result; `report` is its grade."""

    stage: Stage = "nothing"
    seed: int = 0
    done: int = 0
    total: int = 0
    report: Report | None = None
    error: str = ""


class Examination:
    """Writes one exam at a time and grades it; what it is at is in `state`, for every visitor."""

    def __init__(self, store: ObjectStore, fates: Fates, outage: Outage) -> None:
        """Take the store to write to and to grade in; nothing runs yet."""
        self.state = ExamState()
        self._store, self._fates, self._outage = store, fates, outage
        self._lock, self._stop, self._now = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, seed: int) -> None:
        """Put the exam of a seed into the lake in the background, and grade it once the pipeline is done with it."""
        self._begin(ExamState("writing", seed), partial(self._sit, seed))

    def grade(self, seed: int) -> None:
        """Grade what is there now, whoever wrote it: what has no result yet is wrong."""
        self._now.set()  # for the exam that waits; without one, that of the seed is graded
        self._begin(ExamState("grading", seed), lambda: self._grade(make_exam(seed, FILES, SHARE).answers()))

    def stop(self, seconds: float) -> None:
        """End what is under way, waiting for it for some seconds."""
        self._stop.set()
        self._now.set()
        if self._thread:
            self._thread.join(seconds)

    def _begin(self, state: ExamState, act: Callable[[], None]) -> None:
        with self._lock:  # two visitors may press at the same moment
            if self.state.stage in ("writing", "waiting", "grading") or self._stop.is_set():
                return
            self.state = state
            self._now.clear()
            self._thread = threading.Thread(target=self._run, args=(act,), name="exam", daemon=True)
            self._thread.start()

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            ours = None if isinstance(error, OSError) else error
            log.error(fields("exam refused", seed=self.state.seed, error=error), exc_info=ours)
            self.state = replace(self.state, stage="refused", error=str(error))

    def _sit(self, seed: int) -> None:
        exam = make_exam(seed, FILES, SHARE)
        etags, answers = self._put(exam), exam.answers()
        del exam  # some 30 MB, which need not wait for the pipeline
        self._wait(etags)
        self._grade(answers)

    def _put(self, exam: Exam) -> dict[str, str]:
        """Put all files, waiting for a store that is away; give the etag of each one's last version."""
        etags: dict[str, str] = {}
        deliveries = list(exam.deliveries())
        for number, (key, data) in enumerate(deliveries):
            self.state = replace(self.state, done=number, total=len(deliveries))
            if etag := self._outage.wait_for(partial(self._store.put, key, data), self._stop):
                etags[key] = etag
        log.info(fields("exam put", seed=exam.seed, files=len(etags)))
        return etags

    def _wait(self, etags: dict[str, str]) -> None:
        """Wait until the last version of every file has its result, or somebody asks for the grade."""
        while not self._stop.is_set():
            self._fates.refresh()
            done = sum(self._fates.of(key, etag) != WAITING for key, etag in etags.items())
            self.state = replace(self.state, stage="waiting", done=done, total=len(etags))
            if done == len(etags) or self._now.wait(LOOK_SECONDS):
                return

    def _grade(self, answers: dict[str, Any]) -> None:
        self.state = replace(self.state, stage="grading")
        # The lake has the feed's files too, and which they are the source system's user may not list.
        if report := self._outage.wait_for(partial(grade, self._store, answers, alone=False), self._stop):
            log.info(fields("exam graded", seed=self.state.seed, score=report.score, mistakes=len(report.mistakes)))
            self.state = replace(self.state, stage="graded", report=report, error="")
