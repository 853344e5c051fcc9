"""Keys that should not be, and secrets that must not show."""

import hashlib
import http.client
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from lake.stores.s3 import S3Store
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import free_port, until
from tests.support.truth import assert_true, verify

ODD = {
    "raw/companydata/../../../etc/out.csv": "parent folders",
    "/raw/companydata/absolute.csv": "absolute",
    "raw//companydata/empty part.csv": "an empty part",
    "raw/companydata/./dot.csv": "a dot",
    "raw/companydata/bell\x07.csv": "a control character",
    "raw/companydata/two\nlines.csv": "a line end",
}


def raw_put(store: S3Store, key: str, content: bytes) -> int:
    """Put under a key exactly as it is, which clients would tidy up or refuse; give the HTTP status."""
    url = urlsplit(f"http://{store.endpoint}/{store.bucket}/{quote(key, safe='/')}")
    digest, now = hashlib.sha256(content).hexdigest(), datetime.now(UTC)
    headers = {"Host": store.endpoint, "x-amz-content-sha256": digest, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
    keys = Credentials(store.access_key, store.secret_key)
    signed = sign_v4_s3(
        method="PUT", url=url, region=store.region, headers=headers, credentials=keys, content_sha256=digest, date=now
    )
    with closing(http.client.HTTPConnection(store.endpoint, timeout=10)) as connection:
        connection.request("PUT", url.path, content, signed)
        return connection.getresponse().status


@pytest.mark.needs_engine
def test_odd_keys_that_any_client_may_put_into_a_bucket(bucket_lake):
    """The server refuses some of them; what it takes is shown as ignored, and is read and written nowhere."""
    said = {key: raw_put(bucket_lake.store, key, company_csv(1)) for key in ODD}
    assert set(said.values()) <= {200, 400}, said
    # The server drops a leading slash, and has an ordinary key then.
    taken = {item.key for item in bucket_lake.store.list("raw/")} & set(ODD)
    assert taken, "the server took none of them, so nothing was tried"
    bucket_lake.put("companydata/good.csv", company_csv(2))
    with bucket_lake.pipeline(SWEEP_SECONDS="1") as program:
        bucket_lake.wait_loaded("companydata/good.csv")
        until(lambda: bucket_lake.status()["files"]["ignored"] == len(taken), what="their number")
        loads = bucket_lake.loads()
        assert "Traceback" not in program.log
    shown = [row for row in loads.values() if row["status"] == "ignored"]
    assert len(shown) == len(taken)
    assert all("key" in row["first_problem"] for row in shown)
    assert_true(bucket_lake)


def test_symbolic_links_that_lead_out_of_a_folder(local_lake, tmp_path):
    """The file outside is not read, what was told of it is shown, and the others are loaded."""
    outside = tmp_path / "outside.csv"
    outside.write_bytes(company_csv(1).replace(b"Dept", b"Secret"))
    local_lake.put("companydata/good.csv", company_csv(2))
    link = Path(local_lake.environ["LAKE_URL"], "raw/companydata/link.csv")
    link.symlink_to(outside)
    with local_lake.pipeline(SWEEP_SECONDS="1") as program:
        local_lake.wait_loaded("companydata/good.csv")
        row = until(lambda: local_lake.loads().get("companydata/link.csv"), what="a word about the link")
        assert "Secret" not in program.log
    assert row["status"] == "refused"
    assert "symbolic link" in row["first_problem"]
    assert set(local_lake.outputs()) == {"clean/companydata/good.csv.parquet", "rejected/companydata/link.csv.parquet"}
    assert not any(b"Secret" in content for content in local_lake.outputs().values())
    assert verify(local_lake) == ""


SECRETS = ("lakelet-test-secret", "a-wrong-secret-key")


def everything_told(lake: Lake) -> bytes:
    """Return all that the pipeline wrote: log, state folder, and the objects of the lake that are its own."""
    folder = lake.state.parent
    told = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for prefix in ("published/", "clean/", "rejected/"):
        for item in lake.store.list(prefix):
            with lake.store.open(item.key) as (_, stream):
                told.append(stream.read())
    return b"\n".join(told)


@pytest.mark.needs_engine
def test_secrets_never_show(bucket_lake):
    """The full run, a refused one, and one whose store is dead; of each all that it wrote."""
    lake = bucket_lake
    lake.put("companydata/good.csv", company_csv(1))
    lake.put("companydata/bad.csv", b"nonsense\n")
    assert lake.finish("once") == 0
    assert lake.finish("status", "--json") == 0
    assert lake.finish("once", AWS_SECRET_ACCESS_KEY=SECRETS[1]) == 2
    assert lake.finish("once", AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY=SECRETS[1]) == 2
    dead = new_lake(lake.store, {**lake.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, lake.state)
    with dead.pipeline() as program:
        until(lambda: "store away" in program.log)
    told = everything_told(lake)
    assert b"AWS_SECRET_ACCESS_KEY" in told, "the refusal was not among what was searched"
    assert [secret for secret in SECRETS if secret.encode() in told] == []
