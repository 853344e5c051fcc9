"""Create the bucket of a lake and its users; each user may do what its program does, and nothing else."""

import io
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import InvalidResponseError, MinioAdminException

from common.errors import SettingError, StoreUnavailable
from common.logs import fields
from lake.layout import LAKE
from lake.stores.s3 import S3Store, client_errors

Role = Literal["simulator", "pipeline", "worker", "reader"]
ROLES: tuple[Role, ...] = get_args(Role)
PROBE = ".probe"  # where the pipeline looks for files it is a folder marker, which no listing of a store has

_WRITE = ("PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class User:
    """Role and keys of a user of the lake."""

    role: Role
    access_key: str
    secret_key: str

    def __post_init__(self) -> None:
        """Check the keys by the server's rules, so that the message names the setting."""
        for name, value, low, high in (("USER", self.access_key, 3, 20), ("PASSWORD", self.secret_key, 8, 40)):
            if not low <= len(value) <= high:
                raise SettingError(
                    f"{self.role.upper()}_{name}: expected {low} to {high} characters, found {len(value)}"
                )


def users_from(environ: Mapping[str, str]) -> list[User]:
    """Return the users that `<ROLE>_USER` and `<ROLE>_PASSWORD` name; a role without both has no user."""
    users: dict[str, User] = {}
    for role in ROLES:
        user, password = (environ.get(f"{role.upper()}_{name}", "") for name in ("USER", "PASSWORD"))
        if same := users.get(user):
            names = f"{same.role.upper()}_USER and {role.upper()}_USER"
            raise SettingError(f"{names} are both {user!r}: each role needs a user of its own")
        if user or password:
            users[user] = User(role, user, password)
    return list(users.values())


def _allowed(whole: str, actions: Iterable[str], *prefixes: str, only: tuple[str, ...] = ()) -> dict[str, Any]:
    rule: dict[str, Any] = {"Effect": "Allow", "Action": [f"s3:{action}" for action in actions]}
    rule["Resource"] = [f"{whole}/{prefix}*" for prefix in prefixes] or [whole]
    return rule | ({"Condition": {"StringLike": {"s3:prefix": [f"{one}*" for one in only]}}} if only else {})


def policy(role: Role, bucket: str) -> dict[str, Any]:
    """Return what a role may do in a bucket, as a policy of the server.

    What no rule allows is denied, except that the server lets a user manage its own account unless a rule denies it.
    """
    whole = f"arn:aws:s3:::{bucket}"
    allow = partial(_allowed, whole)
    rules = {
        "simulator": [
            allow(["GetBucketLocation"]),
            allow(["ListBucket"], only=("raw/", "published/")),
            allow(_WRITE, "raw/"),
            allow(["GetObject"], "published/"),
        ],
        "pipeline": [
            allow(["GetBucketLocation", "ListBucket", "ListenBucketNotification"]),
            allow(["GetObject"], ""),
            allow([*_WRITE, "DeleteObject"], "clean/", "rejected/", "published/", "tables/"),
        ],
        "worker": [allow(["GetObject"], "raw/", LAKE), allow(_WRITE, "clean/", "rejected/")],
        "reader": [allow(["GetBucketLocation", "ListBucket"]), allow(["GetObject"], "")],
    }
    deny = [
        {"Effect": "Deny", "Action": ["admin:*"]},
        # The right to remove an object includes its earlier versions unless it is denied.
        {"Effect": "Deny", "Action": ["s3:DeleteObjectVersion"], "Resource": [f"{whole}/*"]},
    ]
    return {"Version": "2012-10-17", "Statement": [*rules[role], *deny]}


def prepare(store: S3Store, users: Iterable[User] = ()) -> None:
    """Create bucket, users and policies, and prove each with a real put and get; safe to repeat.

    Each user has its configured password afterwards, and no other key. Users of an older configuration are removed:
    those whose one policy is a role's policy for this bucket, while another user has that role now.

    Raises:
        StoreUnavailable: the server does not answer (yet).
        PermissionError: the keys of `store` may not do this, or a user lacks a right that its program needs.
    """
    with client_errors("", store.bucket):
        if not store.client.bucket_exists(store.bucket):
            store.client.make_bucket(store.bucket)
    _prove(store, "pipeline")
    for user in users:
        try:
            with client_errors("", store.bucket):
                _make(store, user)
        except MinioAdminException as error:
            raise _translated(error, user) from error
        _prove(store.as_user(user.access_key, user.secret_key), user.role)
    with client_errors(PROBE, store.bucket):
        for prefix in ("raw/", "clean/", "rejected/"):
            store.client.remove_object(store.bucket, f"{prefix}{PROBE}/")
    store.delete(f"published/{PROBE}")


def _make(store: S3Store, user: User) -> None:
    """Create or update a user; remove its other keys, and the users that had its role before."""
    admin = MinioAdmin(
        endpoint=store.endpoint,
        credentials=StaticProvider(store.access_key, store.secret_key),
        region=store.region,
        secure=store.scheme == "https",
        http_client=store.http(retries=1),
    )
    name = f"{store.bucket}-{user.role}"
    admin.policy_add(policy_name=name, policy=policy(user.role, store.bucket))  # first: it denies new keys
    admin.user_add(access_key=user.access_key, secret_key=user.secret_key)
    admin.policy_set(policy_name=name, user=user.access_key)  # replaces the user's other policies
    _remove_keys(store, admin, user.access_key)
    for other, account in json.loads(admin.user_list()).items():
        if account.get("policyName") == name and other != user.access_key:
            _remove_keys(store, admin, other)
            admin.user_remove(other)
            log.warning(fields("user removed", user=other, policy=name, now=user.access_key))


def _remove_keys(store: S3Store, admin: MinioAdmin, user: str) -> None:
    """Remove the access keys that a user created for itself: permanent and temporary ones."""
    for account in json.loads(admin.list_service_account(user))["accounts"] or []:
        admin.delete_service_account(account["accessKey"])
        log.warning(fields("access key removed", user=user, key=account["accessKey"]))
    query: dict[str, str | list[str] | tuple[str]] = {"user": user, "fullRevoke": "true"}
    try:
        # MinioAdmin has no method for it. The server does not remove temporary keys together with their user.
        store.client._execute("POST", "minio", "admin/v3/revoke-tokens/builtin", query_params=query)
    except InvalidResponseError as error:
        log.warning(fields("temporary keys not removed", user=user, error=error, action="they end when they expire"))


def _translated(error: MinioAdminException, user: User) -> Exception:
    message = f"{user.role.upper()}_USER: the server would not make user {user.access_key!r}: {_code(error)}"
    if "AccessDenied" in message or "InvalidAccessKeyId" in message or "SignatureDoesNotMatch" in message:
        return PermissionError(f"{message}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be the server's root user")
    return SettingError(message) if error._code in ("400", "409") else StoreUnavailable(message)


def _code(error: MinioAdminException) -> str:
    try:
        body = json.loads(error._body)
        return f"{body['Code']}: {body['Message']}"
    except (ValueError, KeyError, TypeError):
        return str(error)


def _prove(store: S3Store, role: Role) -> None:
    """Do once what the role's program does all the time."""
    if role == "worker":
        _mark(store, "clean/", "rejected/")
        with suppress(FileNotFoundError), store.open(f"raw/{PROBE}"):  # a missing source is one, and no refusal
            return
        return
    if role == "simulator":
        _mark(store, "raw/")
    elif role == "pipeline":
        store.put(f"published/{PROBE}", b"a probe")
    with store.open(f"published/{PROBE}") as (_, stream):
        if stream.read() != b"a probe":
            raise OSError(f"{store.url} did not give back what was put")


def _mark(store: S3Store, *prefixes: str) -> None:
    for prefix in prefixes:
        with client_errors(f"{prefix}{PROBE}/", store.bucket):
            store.client.put_object(store.bucket, f"{prefix}{PROBE}/", io.BytesIO(), 0)
