"""Who may do what: every user by action by prefix, against the real server."""

import io
import uuid
from collections.abc import Callable

import pytest

from simulator.exam import make_exam
from storage import StoreUnavailable, open_store
from storage.access import PROBE, ROLES, User, policy, prepare
from storage.console import SettingError
from storage.layout import clean_key, rejected_key
from storage.s3 import S3Store
from tests.storage.conftest import watching

PREFIXES = ("raw/", "clean/", "rejected/", "published/", "")

MAY: dict[str, dict[str, set[str]]] = {
    "simulator": {"get": {"published/"}, "list": {"raw/", "published/"}, "put": {"raw/"}, "multipart": {"raw/"}},
    "pipeline": {
        "get": set(PREFIXES),
        "list": set(PREFIXES),
        "put": {"clean/", "rejected/", "published/"},
        "multipart": {"clean/", "rejected/", "published/"},
        "delete": {"clean/", "rejected/", "published/"},
    },
    "reader": {"get": set(PREFIXES), "list": set(PREFIXES)},
}

ACTIONS: dict[str, Callable[[S3Store, str], object]] = {
    "get": lambda store, prefix: read(store, f"{prefix}there.csv"),
    "list": lambda store, prefix: list(store.list(prefix)),
    "put": lambda store, prefix: store.put(f"{prefix}new.csv", b"x"),
    "multipart": lambda store, prefix: store.client.put_object(
        store.bucket, f"{prefix}big.csv", io.BytesIO(bytes(6 << 20)), 6 << 20, part_size=5 << 20
    ),
    "delete": lambda store, prefix: store.delete(f"{prefix}there.csv"),
}

WHOLE_BUCKET: dict[str, Callable[[S3Store], object]] = {
    "make a bucket": lambda store: store.client.make_bucket(f"other-{uuid.uuid4().hex[:8]}"),
    "remove the bucket": lambda store: store.client.remove_bucket(store.bucket),
    "read its policy": lambda store: store.client.get_bucket_policy(store.bucket),
    "open it to everybody": lambda store: store.client.set_bucket_policy(store.bucket, "{}"),
}


def read(store: S3Store, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def denied(act: Callable[[], object]) -> bool:
    try:
        act()
    except Exception as error:
        said = f"{type(error).__name__} {getattr(error, 'code', '')} {error}"
        assert "AccessDenied" in said, said
        return True
    return False


@pytest.fixture(scope="module")
def lake(minio) -> dict[str, S3Store]:
    """A lake with its three users; `root` is the server's own."""
    root = minio.new_store()
    users = [User(role, f"{role}-{uuid.uuid4().hex[:6]}", "a long password") for role in ROLES]
    prepare(root, users)
    return {"root": root} | {user.role: root.as_user(user.access_key, user.secret_key) for user in users}


@pytest.mark.needs_engine
@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix or "(root)")
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ROLES)
def test_each_cell(lake, role, action, prefix):
    lake["root"].put(f"{prefix}there.csv", b"some bytes")
    assert denied(lambda: ACTIONS[action](lake[role], prefix)) == (prefix not in MAY[role].get(action, set()))
    if action == "delete":
        kept = "there.csv" in [item.key.removeprefix(prefix) for item in lake["root"].list(prefix)]
        assert kept == (prefix not in MAY[role].get(action, set()))


EXAM = ["clean/companydata/exam/7/a.csv.parquet", "rejected/orders-of-nobody/exam/7/a.csv.parquet"]
NO_EXAM = [
    "clean/companydata/exam.csv.parquet",
    "clean/companydata/examination/a.csv.parquet",
    "clean/companydata/feed/a.csv.parquet",
    "clean/companydata/2026/exam/a.csv.parquet",
    "clean/sales/exam/a.csv.parquet",
    "clean/exam/7/a.csv.parquet",
    "raw/companydata/exam/7/a.csv",
]


@pytest.mark.needs_engine
def test_the_simulator_reads_what_came_of_its_exams_and_nothing_beside_it(lake):
    simulator = lake["simulator"]
    for key in (*EXAM, *NO_EXAM):
        lake["root"].put(key, b"some bytes")
        assert denied(lambda: read(simulator, key)) == (key in NO_EXAM), key  # noqa: B023
    for key in EXAM:
        folder = key.rpartition("/")[0] + "/"
        assert denied(lambda: simulator.put(key, b"x"))  # noqa: B023
        assert denied(lambda: simulator.delete(key))  # noqa: B023
        assert denied(lambda: list(simulator.list(folder)))  # noqa: B023
        with pytest.raises(FileNotFoundError):
            read(simulator, f"{folder}missing.csv.parquet")


def test_every_file_of_an_exam_may_be_graded():
    allowed = [one for rule in policy("simulator", "lake")["Statement"] for one in rule["Resource"]]
    prefixes = tuple(one.removeprefix("arn:aws:s3:::lake/").removesuffix("*") for one in allowed if "/exam/" in one)
    for question in make_exam(7, 200, 0.2).questions:
        assert clean_key(question.key).startswith(prefixes)
        assert rejected_key(question.key).startswith(prefixes)


@pytest.mark.needs_engine
@pytest.mark.parametrize("action", WHOLE_BUCKET)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_the_bucket(lake, role, action):
    assert denied(lambda: WHOLE_BUCKET[action](lake[role]))


@pytest.mark.needs_engine
def test_the_pipeline_alone_listens(lake):
    with watching(lake["pipeline"]) as seen:
        seen.next_gap()
        lake["simulator"].put("raw/d/listened.csv", b"x")
        seen.next_write("raw/d/listened.csv")
    for role in ("simulator", "reader"):
        assert denied(lambda: next(lake[role]._listen(lake[role].client, "raw/", None)))  # noqa: B023


@pytest.mark.needs_engine
def test_repeated_on_a_lake_with_data(minio):
    root = minio.new_store()
    role = User("pipeline", f"again-{uuid.uuid4().hex[:6]}", "a long password")
    prepare(root, [role])
    store = root.as_user(role.access_key, role.secret_key)
    store.put("clean/a.parquet", b"x")
    root.put("raw/d/a.csv", b"x")

    prepare(root, [role, User("simulator", f"new-{uuid.uuid4().hex[:6]}", "a long password")])
    changed = User("pipeline", role.access_key, "another password")
    prepare(root, [changed])

    assert [item.key for item in root.list("")] == ["clean/a.parquet", "raw/d/a.csv"]
    assert [item.object_name for item in root.client.list_objects(root.bucket, recursive=True)] == [
        "clean/a.parquet",
        "raw/d/a.csv",
    ]
    with pytest.raises(PermissionError):
        store.stat("clean/a.parquet")
    assert root.as_user(changed.access_key, changed.secret_key).stat("clean/a.parquet").size == 1


@pytest.mark.needs_engine
def test_the_probe_is_no_event(minio):
    root = minio.new_store()
    with watching(root) as seen:
        seen.next_gap()
        root.client.put_object(root.bucket, f"raw/{PROBE}/", io.BytesIO(), 0)
        root.put("raw/d/a.csv", b"x")
        assert seen.items.get(timeout=60).key == "raw/d/a.csv"


@pytest.mark.needs_engine
def test_a_user_who_is_not_root_cannot_make_users(lake):
    with pytest.raises(PermissionError, match="AWS_ACCESS_KEY_ID"):
        prepare(lake["pipeline"], [User("reader", "somebody", "a long password")])


def test_no_server_is_waited_for():
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.raises(StoreUnavailable):
        prepare(open_store("s3://lake", environ), [User("reader", "somebody", "a long password")])


@pytest.mark.parametrize(
    ("user", "password", "named"), [("ab", "x" * 8, "READER_USER"), ("abc", "short", "READER_PASSWORD")]
)
def test_wrong_keys_are_named(user, password, named):
    with pytest.raises(SettingError, match=named):
        User("reader", user, password)


def test_a_policy_names_no_other_bucket():
    for role in ROLES:
        for rule in policy(role, "lake")["Statement"]:
            assert all(one == "arn:aws:s3:::lake" or one.startswith("arn:aws:s3:::lake/") for one in rule["Resource"])
            assert not any("*" in action for action in rule["Action"])
