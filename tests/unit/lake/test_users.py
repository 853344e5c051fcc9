"""Rights of every user, by action and prefix, against the real server."""

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from minio import Minio, MinioAdmin
from minio.credentials.providers import AssumeRoleProvider, Provider, StaticProvider
from minio.error import S3Error
from minio.versioningconfig import ENABLED, VersioningConfig

from common.errors import SettingError, StoreUnavailable
from lake.layout import LAKE
from lake.stores import open_store
from lake.stores.s3 import S3Store
from lake.stores.users import PROBE, ROLES, Role, User, policy, prepare, users_from
from tests.support.stores import watching

PREFIXES = ("raw/", "clean/", "rejected/", "published/", "tables/", "")

MAY: dict[str, dict[str, set[str]]] = {
    "simulator": {"get": {"published/"}, "list": {"raw/", "published/"}, "put": {"raw/"}, "multipart": {"raw/"}},
    "pipeline": {
        "get": set(PREFIXES),
        "list": set(PREFIXES),
        "put": {"clean/", "rejected/", "published/", "tables/"},
        "multipart": {"clean/", "rejected/", "published/", "tables/"},
        "delete": {"clean/", "rejected/", "published/", "tables/"},
    },
    "worker": {"get": {"raw/"}, "put": {"clean/", "rejected/"}, "multipart": {"clean/", "rejected/"}},
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


def allowing(role: Role, bucket: str) -> list[dict[str, Any]]:
    return [rule for rule in policy(role, bucket)["Statement"] if rule["Effect"] == "Allow"]


def read(store: S3Store, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def denied(act: Callable[[], object]) -> bool:
    try:
        act()
    except Exception as error:
        # Where minio-py's admin client fails in its own clean-up, the server's refusal is the context.
        said = f"{type(error).__name__} {getattr(error, 'code', '')} {error} {error.__context__}"
        assert "AccessDenied" in said, said
        return True
    return False


@pytest.fixture(scope="module")
def lake(minio) -> dict[str, S3Store]:
    """Lake with a user of each role; `root` is the server's own."""
    root = minio.new_store()
    users = [new_user(role) for role in ROLES]
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


# Every method of minio-py's admin client, by what a user's own key may not do with it, on its own account `me` ...
ADMIN: dict[str, Callable[[MinioAdmin, str], object]] = {
    "service_restart": lambda admin, _: admin.service_restart(),
    "service_stop": lambda admin, _: admin.service_stop(),
    "update": lambda admin, _: admin.update(),
    "info": lambda admin, _: admin.info(),
    "user_add": lambda admin, me: admin.user_add(me, "a password of its own"),
    "user_disable": lambda admin, me: admin.user_disable(me),
    "user_enable": lambda admin, me: admin.user_enable(me),
    "user_remove": lambda admin, me: admin.user_remove(me),
    "user_info": lambda admin, me: admin.user_info(me),
    "user_list": lambda admin, _: admin.user_list(),
    "group_add": lambda admin, me: admin.group_add("friends", me),
    "group_disable": lambda admin, _: admin.group_disable("friends"),
    "group_enable": lambda admin, _: admin.group_enable("friends"),
    "group_remove": lambda admin, _: admin.group_remove("friends"),
    "group_info": lambda admin, _: admin.group_info("friends"),
    "group_list": lambda admin, _: admin.group_list(),
    "policy_add": lambda admin, _: admin.policy_add("everything", policy=policy("reader", "lake")),
    "policy_remove": lambda admin, _: admin.policy_remove("readwrite"),
    "policy_info": lambda admin, _: admin.policy_info("readwrite"),
    "policy_list": lambda admin, _: admin.policy_list(),
    "policy_set": lambda admin, me: admin.policy_set("readwrite", user=me),
    "policy_unset": lambda admin, me: admin.policy_unset("readwrite", user=me),
    "attach_policy": lambda admin, me: admin.attach_policy(["readwrite"], user=me),
    "detach_policy": lambda admin, me: admin.detach_policy(["readwrite"], user=me),
    "get_policy_entities": lambda admin, me: admin.get_policy_entities([me], [], []),
    "config_get": lambda admin, _: admin.config_get("api"),
    "config_set": lambda admin, _: admin.config_set("api", {"root_access": "on"}),
    "config_reset": lambda admin, _: admin.config_reset("api"),
    "config_history": lambda admin, _: admin.config_history(),
    "config_restore": lambda admin, _: admin.config_restore("x"),
    "profile_start": lambda admin, _: admin.profile_start(()),
    "kms_key_create": lambda admin, _: admin.kms_key_create("key"),
    "kms_key_status": lambda admin, _: admin.kms_key_status("key"),
    "get_site_replication_info": lambda admin, _: admin.get_site_replication_info(),
    "bucket_quota_get": lambda admin, _: admin.bucket_quota_get("lake"),
    "bucket_quota_set": lambda admin, _: admin.bucket_quota_set("lake", 1),
    "bucket_quota_clear": lambda admin, _: admin.bucket_quota_clear("lake"),
    "get_data_usage_info": lambda admin, _: admin.get_data_usage_info(),
    "add_service_account": lambda admin, _: admin.add_service_account(access_key="its-own", secret_key="password"),
}

# ... and what the server grants to every key, whatever its policy: to see its own account, and to give up its own keys.
GRANTED = {"account_info", "list_service_account", "get_service_account", "delete_service_account"}

# What concerns servers in clusters or LDAP, and settings of the client.
ELSEWHERE = {"top_locks", "set_app_info", "trace_on", "trace_off", "update_service_account"}


def admin_of(store: S3Store) -> MinioAdmin:
    keys = StaticProvider(store.access_key, store.secret_key)
    return MinioAdmin(endpoint=store.endpoint, credentials=keys, region=store.region, secure=False)


def temporary(store: S3Store) -> Provider:
    """Return a temporary key of the store's user, for as long as the server gives one: a year."""
    keys = AssumeRoleProvider(
        sts_endpoint=f"http://{store.endpoint}",
        access_key=store.access_key,
        secret_key=store.secret_key,
        duration_seconds=365 * 86400,
        region=store.region,
    ).retrieve()
    return StaticProvider(keys.access_key, keys.secret_key, keys.session_token)


def readable(role: Role) -> str:
    """Return a key that users of this role may read."""
    return "raw/d/x.csv" if role == "worker" else "published/x"


def content(store: S3Store, keys: Provider, key: str) -> bytes:
    """Read an object with other keys than the store's own."""
    return Minio(store.endpoint, credentials=keys, region=store.region, secure=False).get_object(store.bucket, key).data


@pytest.mark.needs_engine
@pytest.mark.parametrize("action", WHOLE_BUCKET)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_the_bucket(lake, role, action):
    assert denied(lambda: WHOLE_BUCKET[action](lake[role]))


@pytest.mark.needs_engine
@pytest.mark.parametrize("role", ROLES)
def test_nobody_administers_the_server_or_its_own_account(lake, role):
    admin, me = admin_of(lake[role]), lake[role].access_key
    for name, act in ADMIN.items():
        assert denied(lambda: act(admin, me)), name  # noqa: B023
    assert json.loads(admin.list_service_account(me)) == {"accounts": None}


def test_every_method_of_the_admin_client_is_decided():
    methods = {name for name in vars(MinioAdmin) if not name.startswith("_")}
    rest = methods - ADMIN.keys() - GRANTED - ELSEWHERE
    assert {name for name in rest if "ldap" not in name and "site_replication" not in name} == set()


def new_user(role: Role) -> User:
    return User(role, f"{role}-{uuid.uuid4().hex[:6]}", "a long password")


@pytest.mark.needs_engine
@pytest.mark.parametrize("role", ROLES)
def test_a_users_other_keys_end_and_so_does_the_user_before_it(minio, role):
    """The keys were made under the policy of version 0.1. What a person made for something else stays."""
    root = minio.new_store()
    admin, name = admin_of(root), f"{root.bucket}-{role}"
    before, now, mine, both = (new_user(role) for _ in range(4))
    prepare(root, [before])
    root.put(readable(role), b"x")
    for policy_name in (name, f"{root.bucket}-mine"):
        admin.policy_add(policy_name, policy={"Version": "2012-10-17", "Statement": allowing(role, root.bucket)})
    for user, policies in ((now, name), (mine, f"{root.bucket}-mine"), (both, f"{name},diagnostics")):
        admin.user_add(user.access_key, user.secret_key)
        admin.policy_set(policies, user=user.access_key)
    keys = [StaticProvider(user.access_key, user.secret_key) for user in (before, now, mine, both)]
    made = []
    for user in (before, now):
        store = root.as_user(user.access_key, user.secret_key)
        account = json.loads(admin_of(store).add_service_account())["credentials"]
        made += [StaticProvider(account["accessKey"], account["secretKey"]), temporary(store)]
    assert [content(root, one, readable(role)) for one in (*keys, *made)] == [b"x"] * 8

    prepare(root, [now])

    for one in (keys[0], *made):
        with pytest.raises(S3Error) as refused:
            content(root, one, readable(role))
        assert refused.value.code in ("InvalidAccessKeyId", "InvalidTokenId"), refused.value.code
    assert [content(root, one, readable(role)) for one in keys[1:]] == [b"x"] * 3


@pytest.mark.needs_engine
@pytest.mark.parametrize("role", ROLES)
def test_a_temporary_key_may_do_no_more_than_its_user(lake, role):
    """The server gives one to everybody, and no policy can deny that."""
    keys = temporary(lake[role])
    admin = MinioAdmin(endpoint=lake[role].endpoint, credentials=keys, region=lake[role].region, secure=False)
    assert denied(admin.add_service_account)
    client = Minio(lake[role].endpoint, credentials=keys, region=lake[role].region, secure=False)
    assert denied(lambda: client.put_object(lake[role].bucket, "elsewhere/x", io.BytesIO(b"x"), 1))


@pytest.mark.needs_engine
@pytest.mark.parametrize("role", ROLES)
def test_nobody_removes_an_earlier_version(minio, role):
    """They are what a bucket has versions for. To list and read them takes the same right as for the newest one."""
    root, key = minio.new_store(), readable(role)
    user = new_user(role)
    prepare(root, [user])
    root.client.set_bucket_versioning(root.bucket, VersioningConfig(ENABLED))
    for content in (b"first", b"second"):
        root.put(key, content)
    client = root.as_user(user.access_key, user.secret_key).client
    lists = root.client if role == "worker" else client
    versions = [item.version_id for item in lists.list_objects(root.bucket, key, include_version=True)]
    assert client.get_object(root.bucket, key, version_id=versions[-1]).read() == b"first"
    for version in versions:
        assert denied(lambda: client.remove_object(root.bucket, key, version_id=version))  # noqa: B023


@pytest.mark.needs_engine
def test_the_pipeline_alone_listens(lake):
    with watching(lake["pipeline"]) as seen:
        seen.next_gap()
        lake["simulator"].put("raw/d/listened.csv", b"x")
        seen.next_write("raw/d/listened.csv")
    for role in ("simulator", "worker", "reader"):
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
def test_a_missing_source_is_missing_for_the_worker_too(lake):
    """It may not list, and its load must end as one of a file that was deleted, not as a refusal of the store."""
    with pytest.raises(FileNotFoundError):
        read(lake["worker"], "raw/d/gone.csv")
    with pytest.raises(FileNotFoundError):
        lake["worker"].stat("raw/d/gone.csv")


@pytest.mark.needs_engine
def test_the_worker_may_read_which_lake_it_is(lake):
    """So that it can tell a lake from another one of the same name; of `published/` it may read nothing else."""
    with pytest.raises(FileNotFoundError):
        read(lake["worker"], LAKE)


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


def test_two_roles_cannot_share_a_user():
    names = {f"{role.upper()}_{name}": "the same one" for role in ROLES[:2] for name in ("USER", "PASSWORD")}
    with pytest.raises(SettingError, match="SIMULATOR_USER and PIPELINE_USER"):
        users_from(names)


def test_a_policy_names_no_other_bucket():
    for role in ROLES:
        for rule in allowing(role, "lake"):
            assert all(one == "arn:aws:s3:::lake" or one.startswith("arn:aws:s3:::lake/") for one in rule["Resource"])
            assert not any("*" in action for action in rule["Action"])
