"""Keys of sources: every store can hold the keys of their outputs too."""

from lake.layout import KEY_BYTES, NAME_BYTES, SUFFIXES, clean_key, rejected_key, source, source_key
from lake.stores.base import MAX_KEY_BYTES, check_key


def test_a_key_leaves_room_for_its_outputs():
    key = "raw/numbers/" + "folder/" * 142 + "b.csv"
    assert len(key) == KEY_BYTES
    assert source(key).dataset == "numbers"
    assert max(len(check_key(output(key))) for output in (clean_key, rejected_key)) == MAX_KEY_BYTES
    assert "its key is too long" in source(key.replace("b.csv", "bb.csv")).ignored


def test_a_name_leaves_room_for_its_outputs():
    name = "ä" * ((NAME_BYTES - 4) // 2) + "b" * (NAME_BYTES % 2) + ".csv"
    assert len(name.encode()) == NAME_BYTES
    assert source(f"raw/numbers/{name}").dataset == "numbers"
    assert "its name is too long" in source(f"raw/numbers/b{name}").ignored


def test_the_outputs_of_each_format_lead_back_to_their_source():
    names = [f"a/b{suffix}" for suffix in SUFFIXES] + ["a/B.PARQUET", "a/b.parquet.parquet", "a/b.csv.parquet"]
    outputs = [output(f"raw/x/{name}") for name in names for output in (clean_key, rejected_key)]
    assert len(set(outputs)) == len(outputs)
    assert [source_key(key) for key in outputs] == [f"raw/x/{name}" for name in names for _ in range(2)]
    assert all(source(f"raw/x/{name}").dataset == "x" for name in names)


def test_a_folder_is_never_named_as_a_result():
    """In a folder of the file system, one name cannot be a file and a folder."""
    for suffix in SUFFIXES:
        assert "rename that folder" in source(f"raw/x/a{suffix}.parquet/b.csv").ignored
    assert source("raw/x/a.parquet/part-0.parquet").dataset == "x"  # as other engines write tables


def test_a_txt_file_is_a_source_where_the_contract_asks_for_it():
    for name in ("a.txt", "A.TXT", "a.txt.gz", "a.txt.zst"):
        assert source(f"raw/numbers/{name}", {"numbers"}).dataset == "numbers"
        assert source(f"raw/others/{name}", {"numbers"}).ignored.endswith("contract has the format txt")
    assert source("raw/numbers/a.txt.parquet/b.csv", {"numbers"}).ignored
    assert source("raw/numbers/a.txt.parquet/b.csv").dataset == "numbers"
