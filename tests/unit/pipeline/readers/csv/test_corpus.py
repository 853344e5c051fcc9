"""Every odd file, read directly: exactly the rows, lines and rules that its making says."""

import io
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.dataset.dataset import read_dataset
from pipeline.model.problem import Refused
from pipeline.model.read_contract import read_contract
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.formats import reader_of
from pipeline.readers.unique.reference import unique_batches_plainly
from pipeline.readers.unique.stage import unique_batches
from simulator.exam.case import SHAPES, Kept, digest
from simulator.exam.exam import CONTRACTS, KINDS, make_exam
from tests.support.contracts import write_contracts
from tests.support.corpus import FILES, Odd, corpus
from tests.support.project import DATASETS

LARGE = [odd for odd in FILES if len(odd.content) > 100_000]

EXAM = {name: read_dataset(CONTRACTS / f"{name}.json").contract for name in SHAPES}

with TemporaryDirectory() as folder:
    OF = {path.stem: read_contract(path) for path in write_contracts(Path(folder), DATASETS).glob("*.json")}


def read(odd: Odd, reader=read_csv, **settings: int) -> tuple[list[tuple], list[tuple], str | None]:
    rows, rejects, contract = [], [], OF[odd.dataset]
    find_duplicates = unique_batches if reader is read_csv else unique_batches_plainly
    try:
        for batch in find_duplicates(reader(io.BytesIO(odd.content), odd.name, contract, **settings), contract, None):
            columns = [batch.rows[name].to_pylist() for name in ("_line", *odd.columns)]
            rows += list(zip(*columns, strict=True))
            rejects += [(one.line, one.column, one.rule) for one in batch.problems]
    except Refused as refusal:
        return [], [], refusal.problem.rule
    return rows, rejects, None


def test_there_are_many_of_each_family():
    counts = Counter(odd.family for odd in FILES)
    assert sum(counts.values()) >= 200
    assert min(counts.values()) >= 10
    assert len({(odd.family, odd.name) for odd in FILES}) == len(FILES)


@pytest.mark.parametrize("odd", FILES, ids=lambda odd: f"{odd.family}/{odd.name}")
def test_read(odd):
    assert read(odd) == (odd.rows, odd.rejects, odd.refused)
    assert read(odd, read_csv_plainly) == (odd.rows, odd.rejects, odd.refused)


@pytest.mark.parametrize("block_size", [1, 7, 64])
def test_blocks_of_a_few_bytes(block_size):
    for odd in FILES:
        if len(odd.content) < 3000:
            assert read(odd, block_size=block_size) == (odd.rows, odd.rejects, odd.refused), odd


@pytest.mark.parametrize("block_size", [(4 << 10) - 1, 1 << 16, 1_000_003])
def test_smaller_blocks_of_large_files(block_size):
    for odd in LARGE if block_size > 1 << 14 else LARGE[::3]:
        assert read(odd, block_size=block_size) == (odd.rows, odd.rejects, odd.refused), odd


@pytest.mark.parametrize("way", ["read", "reference"])
def test_the_exam(way):
    """The known outcome of every case is what a reader says, so the plain reader may judge what has none."""
    for question in make_exam(1, 3 * len(KINDS), 0.2).questions:
        file, answer = question.file, question.file.answer
        if file.dataset not in EXAM or answer.status == "ignored":
            continue
        shape, kept, rejected, rule = SHAPES[file.dataset], [], [], ""
        try:
            reader = getattr(reader_of(question.key), way)
            contract, count = EXAM[file.dataset], 0
            batches = reader(io.BytesIO(file.versions[-1]), question.key, contract)
            for batch in unique_batches(batches, contract, None):
                count += batch.rejected
                for row in batch.rows.to_pylist():
                    texts, sums = digest([row[name] for name in shape.texts]), tuple(row[name] for name in shape.sums)
                    kept.append(Kept(row["_line"], row[shape.group], texts, sums))
                rejected += [(one.line, one.column, one.rule) for one in batch.problems]
            if contract.rejects.exceeded(count, count + len(kept)):
                kept, rule = [], "rejects"
        except Refused as refusal:
            kept, rejected, rule = [], [], refusal.problem.rule
        assert (rule, kept) == (answer.rule, list(answer.kept)), question.key
        assert sorted(rejected, key=str) == sorted(answer.rejected, key=str), question.key


def test_another_seed_makes_other_files():
    files = corpus(2)
    assert [odd.content for odd in files] != [odd.content for odd in FILES]
    for odd in files:
        assert read(odd) == (odd.rows, odd.rejects, odd.refused), odd
