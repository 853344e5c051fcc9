"""Every workbook whose outcome is worked out by hand, by all three functions of the reader."""

import io
from datetime import UTC, datetime

import pytest

from pipeline.model.problem import Refused
from pipeline.readers.base import Limits
from pipeline.readers.formats import READERS
from tests.support.workbooks import CASES, Case

LIMITS = Limits(grown=1 << 20)
READER = READERS[".xlsx"]


def naive(value: object) -> object:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def outcome(batches: list, case: Case) -> tuple[list, list]:
    rows, rejects = [], []
    for batch in batches:
        rows += [tuple(map(naive, row.values())) for row in batch.rows.select(["_line", *case.fields]).to_pylist()]
        rejects += [(one.line, one.column, one.rule) for one in batch.problems]
    return rows, rejects


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: case.name)
def test_outcome(case):
    batches = [*READER.read(io.BytesIO(case.content), key="a.xlsx", contract=case.contract, limits=LIMITS)]
    assert outcome(batches, case) == (list(case.rows), list(case.rejects))


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.name)
def test_refusal(case):
    with pytest.raises(Refused) as caught:
        list(READER.read(io.BytesIO(case.content), key="a.xlsx", contract=case.contract, limits=LIMITS))
    assert caught.value.problem.rule == case.refused[0]
    assert case.refused[1] in caught.value.problem.message


CHECKED = [case for case in CASES if len(case.rows) + len(case.rejects) > 3]


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_the_reference_agrees_word_by_word(case):
    fast = [*READER.read(io.BytesIO(case.content), key="a.xlsx", contract=case.contract, limits=LIMITS)]
    plain = [*READER.reference(io.BytesIO(case.content), key="a.xlsx", contract=case.contract, limits=LIMITS)]
    assert [batch.rows for batch in fast] == [batch.rows for batch in plain]
    assert [[*batch.problems] for batch in fast] == [[*batch.problems] for batch in plain]


def test_small_workbooks_have_one_batch_or_one_reason_each():
    good, bad = (next(case for case in CASES if case.name == name) for name in ("error cells", "CSV"))
    batch, refusal = READER.read_small_files([("a.xlsx", good.content), ("b.xlsx", bad.content)], good.contract, LIMITS)
    assert outcome([batch], good) == (good.rows, good.rejects)
    assert batch.rejected == 2
    assert isinstance(refusal, Refused)
    assert refusal.problem.rule == "workbook"


def test_there_are_many():
    assert len({case.name for case in CASES}) == len(CASES) >= 80
