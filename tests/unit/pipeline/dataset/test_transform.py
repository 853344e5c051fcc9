"""User's own code between the good rows and the clean object: what it may do, and what refuses the file."""

import os
import re
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from common.errors import SettingError
from pipeline.dataset.dataset import read_dataset, read_datasets
from pipeline.dataset.transform import from_frame, to_frame
from tests.support.project import DATASETS

HEADER = b"name,n,x\n"
ROWS = HEADER + b"a,1,0.5\nb,2,1.5\nc,3,2.5\n"


def drop_b(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["name"] != "b"]


def drop_all(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["n"] < 0]


def test_dropped_rows_are_counted(loads, write_dataset):
    for transform, kept in ((drop_b, ["a", "c"]), (drop_all, [])):
        record = loads(replace(write_dataset(), transform=transform), ROWS).record
        counts = (record.rows_read, record.rows_kept, record.rows_dropped, record.rows_rejected)
        assert counts == (3, len(kept), 3 - len(kept), 0)
        assert loads.clean()["name"].to_pylist() == kept
        assert [one["group"]["name"] for one in record.share] == kept


def test_rejected_rows_never_reach_it(loads, write_dataset):
    seen = []

    def look(frame: pd.DataFrame) -> pd.DataFrame:
        seen.extend(frame["_line"].tolist())
        return frame

    loads(replace(write_dataset(), transform=look), ROWS + b"d,many,1\ne,4,1\n")
    assert seen == [2, 3, 4, 6]


@pytest.mark.parametrize(
    "transform",
    [
        lambda frame: frame.iloc[::-1],
        lambda frame: pd.concat([frame, frame]),
        lambda frame: frame.assign(_line=99),
        lambda frame: frame.drop(columns="_line"),
        lambda frame: frame.drop(columns="n"),
        lambda frame: frame.assign(n="text"),
        lambda frame: 1 / 0,  # noqa: ARG005
        lambda frame: None,  # noqa: ARG005
    ],
)
def test_a_broken_one_refuses_the_file(loads, write_dataset, transform):
    record = loads(replace(write_dataset(), transform=transform), ROWS).record
    assert record.status == "refused"
    assert "transform" in record.first_problem
    [problem] = loads.rejected()
    assert (problem["rule"], problem["line"]) == ("transform", None)


def test_its_author_is_told_where_it_failed(loads, write_dataset, caplog):
    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(n=frame["gone"])

    key = loads(replace(write_dataset(), transform=broken), ROWS).record.source_key
    [line, *traceback] = caplog.text.splitlines()
    assert f"transform failed key={key}" in line
    assert any("test_transform.py" in one and one.endswith("in broken") for one in traceback)


MODULE = """
def transform(frame):
    return frame.assign({column})
"""


def test_it_is_the_one_beside_the_contract(write_dataset, tmp_path):
    write_dataset()
    for name in ("numbers", "companydata"):  # which is also the name of one that is shipped
        contract = tmp_path / "datasets" / f"{name}.json"
        contract.write_text((tmp_path / "datasets" / "numbers.json").read_text().replace('"numbers"', f'"{name}"'))
        contract.with_suffix(".py").write_text(MODULE.format(column="twice=2 * frame['n']"))
        assert read_dataset(contract).schema.names[-1] == "twice"


def test_groups_are_of_plain_values(write_dataset, tmp_path):
    write_dataset()
    (tmp_path / "datasets" / "numbers.py").write_text(MODULE.format(column="parts=frame['name'].str.split('-')"))
    with pytest.raises(SettingError, match=r"numbers\.json: summary\.groupBy names 'parts'"):
        write_dataset(summary={"groupBy": ["parts"]})


def test_the_shipped_one_adds_net(loads):
    content = b"Month,Dept,Store,Sold,Returned,Ordered\n1-Jan,Toys,North,10,3,5\n"
    loads(read_datasets(DATASETS)["companydata"], content)
    assert loads.clean()["Net"].to_pylist() == [7]


TYPED = pa.table({"name": ["a", None, "c"], "x": [0.5, None, float("nan")], "_line": [2, 3, 4]})


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame,
        lambda frame: frame[["_line", "x", "name"]],
        lambda frame: frame.assign(more=1),
        lambda frame: frame.assign(x=[1.5, np.nan, 2.5], name=["a", None, "b"]),
        lambda frame: frame.assign(x=frame["_line"]),
        lambda frame: frame.assign(name=frame["name"].astype("category")),
        lambda frame: frame.astype({"name": "str", "x": "float64", "_line": "int32"}),
        lambda frame: frame[frame["x"] > 1],
    ],
)
def test_what_comes_back_is_what_arrow_makes_of_a_frame(change):
    """Whatever a frame's columns are kept in."""
    found = from_frame(change(to_frame(TYPED)), TYPED.schema)
    made = pa.Table.from_pandas(change(to_frame(TYPED)), TYPED.schema, preserve_index=False)
    assert str(found.to_pydict()) == str(made.to_pydict())


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda frame: frame.assign(_line=frame["_line"] + 0.5), "expected int64, found double, first 2.5"),
        (lambda frame: frame.assign(x="text"), "expected double, found .*string, first 'text'"),
        (lambda frame: frame.assign(name=frame["_line"]), "expected string, found int64, first 2"),
        (lambda frame: frame.drop(columns="x"), "'x' is missing"),
        (lambda frame: frame.set_index("name"), "'name' is missing"),
        (lambda frame: pd.concat([frame, frame["x"]], axis=1), "Duplicate column names"),
    ],
)
def test_what_comes_back_has_the_columns_and_their_types(change, wrong):
    with pytest.raises((ValueError, KeyError), match=wrong):
        from_frame(change(to_frame(TYPED)), TYPED.schema)


def test_a_frame_is_what_arrow_makes_of_rows():
    frame = to_frame(TYPED)
    pd.testing.assert_frame_equal(frame, TYPED.to_pandas(types_mapper=pd.ArrowDtype))
    frame["_line"] += 1
    frame.columns.name, frame.index.name = "changed", "too"
    assert TYPED["_line"].to_pylist() == [2, 3, 4]
    pd.testing.assert_frame_equal(to_frame(TYPED), TYPED.to_pandas(types_mapper=pd.ArrowDtype))


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()", "BaseException('x')"])
def test_what_would_end_the_program_refuses_the_file(loads, write_dataset, error):
    def leave(_: pd.DataFrame) -> pd.DataFrame:
        raise eval(error)

    record = loads(replace(write_dataset(), transform=leave), ROWS).record
    assert record.status == "refused"
    assert f"it raised {error}, which would end the program" in record.first_problem


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"])
@pytest.mark.parametrize("place", ["the module", "no rows", "every call"])
def test_what_would_end_the_program_is_a_mistake_in_the_setting(write_dataset, tmp_path, error, place):
    write_dataset()
    condition = {"the module": "", "no rows": "    if not len(frame): ", "every call": "    "}[place]
    body = f"raise {error}\n" if place == "the module" else f"def transform(frame):\n{condition}raise {error}\n"
    (tmp_path / "datasets" / "numbers.py").write_text(body)
    with pytest.raises(SettingError, match=rf"numbers\.py: .*it raised {re.escape(error)}, which would end"):
        write_dataset()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_os_exit_refuses_the_file_but_ends_a_process_of_the_transforms_own(loads, write_dataset):
    def leave(frame: pd.DataFrame) -> pd.DataFrame:
        if not (pid := os.fork()):
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        os._exit(0)
        return frame

    record = loads(replace(write_dataset(), transform=leave), ROWS).record
    assert "it raised SystemExit('os._exit(0)'), which would end the program" in record.first_problem


def test_ctrl_c_is_not_the_transforms_fault(loads, write_dataset):
    """In the program's main thread, as `dry-run` and `contract check` call it."""

    def interrupted(frame: pd.DataFrame) -> pd.DataFrame:
        signal.raise_signal(signal.SIGINT)
        return frame

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            loads(replace(write_dataset(), transform=interrupted), ROWS)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
