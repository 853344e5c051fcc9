"""Keys of sources: every store can hold the keys of their outputs too."""

from lake.layout import KEY_BYTES, NAME_BYTES, clean_key, rejected_key, source
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
