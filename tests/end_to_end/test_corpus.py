"""Every odd file through the whole pipeline: the clean and rejected objects hold what its making says."""

from lake.layout import clean_key, rejected_key
from tests.support.contracts import write_contracts
from tests.support.corpus import Odd, corpus
from tests.support.project import DATASETS


def expected(odd: Odd) -> tuple[list[tuple] | None, list[tuple] | None]:
    if odd.refused:
        return None, [(None, None, odd.refused)]
    return odd.rows, odd.rejects or None


def found(lake, key: str, odd: Odd) -> tuple[list[tuple] | None, list[tuple] | None]:
    clean, rejected = lake.published(clean_key(key)), lake.published(rejected_key(key))
    for row in clean or []:
        assert row["_source_key"] == key
        assert odd.dataset != "companydata" or row["Net"] == row["Sold"] - row["Returned"]
    return (
        clean if clean is None else [tuple(row[name] for name in ("_line", *odd.columns)) for row in clean],
        rejected and [(row["line"], row["column"], row["rule"]) for row in rejected],
    )


def test_the_corpus(lake, tmp_path):
    (folder := tmp_path / "contracts").mkdir()
    lake.environ["PIPELINE_DATASETS"] = str(write_contracts(folder, DATASETS))
    files = {f"raw/{odd.dataset}/{odd.family}/{odd.name}": odd for odd in corpus(3)}
    for key, odd in files.items():
        lake.store.put(key, odd.content)

    done = lake.command("once")

    assert done.returncode == 0, done.stderr
    assert [key for key, odd in files.items() if found(lake, key, odd) != expected(odd)] == []
    loaded = [odd for odd in files.values() if odd.refused is None]
    status = lake.status()
    assert status["files"]["loaded"] == len(loaded)
    assert status["files"]["refused"] == len(files) - len(loaded)
    kept = sum(len(odd.rows) for odd in loaded)
    rejected = sum(len({line for line, _, _ in odd.rejects}) for odd in loaded)
    assert status["rows"] == {"read": kept + rejected, "kept": kept, "dropped": 0, "rejected": rejected}
    assert sum(rows for rows, *_ in lake.sums().values()) == sum(
        len(odd.rows) for odd in loaded if odd.dataset == "companydata"
    )
