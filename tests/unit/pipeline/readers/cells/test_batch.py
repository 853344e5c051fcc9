import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.contract import Contract
from pipeline.model.data_resource import Dialect, Summary
from pipeline.model.field import Constraints, FieldSpec
from pipeline.model.problem import Problem
from pipeline.readers.cells.batch import Records, check_plainly, check_records

FIELDS = (
    FieldSpec(name="id", type="integer", constraints=Constraints(required=True, maximum=99)),
    FieldSpec(name="day", type="date", format="%d.%m.%Y"),
    FieldSpec(name="word", constraints=Constraints(required=True, maxLength=3)),
)
CONTRACT = Contract("cells", FIELDS, "exact", "utf-8", Dialect(), frozenset({"", "n/a"}), Summary())
CELLS = st.sampled_from([None, "", " ", "n/a", "7", "+7 ", "100", "x", "31.01.2026", "30.02.2026", "word", "ab"])


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sets(st.integers(0, 5)),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 2))),
)
def test_records_are_checked_at_once_as_they_are_one_by_one(rows, malformed, wrong):
    """Whatever a cell is, whether or not its record is malformed, or the cell wrong whatever its text is."""
    columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)] or [
        pa.array([], "string")
    ] * 3
    broken = {number: [Problem("fields", "…", number + 2)] for number in malformed if number < len(rows)}
    errors = {(number, place): f"error {number}" for number, place in wrong if number < len(rows)}
    records = Records(columns, np.arange(2, len(rows) + 2), lambda number: str(rows[number]), broken, wrong=errors)
    fast, plain = check_records(records, CONTRACT), check_plainly(records, CONTRACT)
    assert fast.rows.equals(plain.rows)
    assert (list(fast.problems), fast.rejected) == (list(plain.problems), plain.rejected)
    assert fast.rows.num_rows + fast.rejected == len(rows)
    told = {(problem.line - 2, problem.column) for problem in check_plainly(records, CONTRACT).problems}
    assert {(number, FIELDS[place].name) for number, place in errors if number not in broken} <= told
