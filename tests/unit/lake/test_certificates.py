"""Certificates of a cluster: what Python's ssl makes of them, when they are made anew, and what a reader sees then."""

import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from typer.testing import CliRunner

from common.errors import SettingError
from lake import certificates
from lake.__main__ import app
from lake.certificates import FILES, NAME, RENEWED, VALID, keep_certificates, read_certificates


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert keep_certificates(tmp_path / "tls")
    return tmp_path / "tls"


def context(folder: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Return a context that asks the other side for its certificate, as strict as Python has it."""
    ca, cert, key = (folder / name for name in FILES)
    made = ssl.create_default_context(purpose, cafile=str(ca))
    made.verify_mode, made.verify_flags = ssl.CERT_REQUIRED, made.verify_flags | ssl.VERIFY_X509_STRICT
    made.load_cert_chain(cert, key)
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Do the TLS handshake of two sides, and pass a byte."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=NAME)
    answering = server.wrap_bio(up, down, server_side=True)
    waiting = [asking, answering]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert waiting == []
    asking.write(b"x")
    assert answering.read(1) == b"x"


def test_members_accept_each_other(folder):
    client, server = (context(folder, one) for one in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH))
    assert client.check_hostname
    shake_hands(client, server)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_member_of_another_ca_is_refused_by_both_sides(folder, tmp_path):
    keep_certificates(tmp_path / "other")
    for mine, theirs in ((folder, tmp_path / "other"), (tmp_path / "other", folder)):
        client = context(mine, ssl.Purpose.SERVER_AUTH)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            shake_hands(client, context(theirs, ssl.Purpose.CLIENT_AUTH))
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE  # the client would take anybody
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            shake_hands(client, context(theirs, ssl.Purpose.CLIENT_AUTH))


def test_good_ones_are_kept_without_a_word(folder, caplog):
    before = read_certificates(folder)
    with caplog.at_level(logging.INFO):
        assert not keep_certificates(folder)
    assert (read_certificates(folder), caplog.messages) == (before, [])


HALF, GONE, BYTES, OF_OTHERS = "half", "gone", "bytes", "of others"


@pytest.mark.parametrize(
    ("name", "how", "reason"),
    [
        ("key.pem", HALF, "key.pem is damaged"),
        ("key.pem", OF_OTHERS, "key.pem is not the key of cert.pem"),
        ("ca.pem", OF_OTHERS, "cert.pem is not of the CA in ca.pem"),
        ("ca.pem", BYTES, "ca.pem is damaged"),
        ("cert.pem", GONE, "cert.pem"),
    ],
)
def test_what_is_of_no_use_is_told_and_made_anew(folder, tmp_path, caplog, name, how, reason):
    keep_certificates(tmp_path / "other")
    before, path = read_certificates(folder), folder / name
    if how == GONE:
        path.unlink()
    else:
        content = {HALF: path.read_bytes()[:50], BYTES: b"\xff", OF_OTHERS: (tmp_path / "other" / name).read_bytes()}
        path.write_bytes(content[how])
    with pytest.raises(SettingError, match=f"{reason}.*make them: python -m lake certificates {folder}"):
        read_certificates(folder)
    with caplog.at_level(logging.INFO):
        assert keep_certificates(folder)
    after = read_certificates(folder)
    assert not {before.ca, before.cert, before.key} & {after.ca, after.cert, after.key}
    assert len(caplog.messages) == 1
    assert reason in caplog.messages[0]


@pytest.mark.parametrize(("left", "new"), [(RENEWED + timedelta(days=1), False), (RENEWED - timedelta(days=1), True)])
def test_they_are_renewed_before_their_end(tmp_path, left, new):
    for name, text in zip(FILES, pems(datetime.now(UTC) - VALID + left), strict=True):
        (tmp_path / name).write_text(text)
    read_certificates(tmp_path)
    assert keep_certificates(tmp_path) == new


def pems(now: datetime) -> tuple[str, str, str]:
    made = certificates._make(now)
    return made.ca, made.cert, made.key


@pytest.mark.parametrize("moment", [timedelta(days=-2), VALID], ids=["too early", "ended"])
def test_their_time_is_checked(tmp_path, moment):
    for name, text in zip(FILES, pems(datetime.now(UTC) - moment), strict=True):
        (tmp_path / name).write_text(text)
    with pytest.raises(SettingError, match="they are valid from"):
        read_certificates(tmp_path)


def test_no_reader_sees_a_mixture(folder, monkeypatch):
    """Stop a writer between two of its files, and read."""
    stands, goes = Event(), Event()
    write = certificates._write

    def write_slowly(folder: Path, name: str, text: str) -> None:
        write(folder, name, text)
        stands.set()
        assert goes.wait(60)

    monkeypatch.setattr(certificates, "_write", write_slowly)
    before = read_certificates(folder)
    (folder / "key.pem").unlink()
    with ThreadPoolExecutor() as threads:
        written = threads.submit(keep_certificates, folder)
        assert stands.wait(60)
        found = threads.submit(read_certificates, folder)
        with pytest.raises(TimeoutError):
            found.result(0.2)
        goes.set()
        assert written.result(60)
        assert before.ca != found.result(60).ca


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=f"CLUSTER_TLS: .* {tmp_path}/file: "):
        keep_certificates(tmp_path / "file")


def test_no_log_line_has_the_key(folder):
    assert "PRIVATE" not in repr(read_certificates(folder))


def test_the_commands_make_them(tmp_path):
    init = CliRunner().invoke(app, ["init", "--lake", str(tmp_path / "lake"), "--tls", str(tmp_path / "tls")])
    alone = CliRunner().invoke(app, ["certificates", str(tmp_path / "tls 2")])
    assert (init.exit_code, alone.exit_code) == (0, 0)
    assert read_certificates(tmp_path / "tls") != read_certificates(tmp_path / "tls 2")
