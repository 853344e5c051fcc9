import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.browser import opens
from tests.support.minio_server import free_port
from tests.support.pages import command, healthy, serving


@contextmanager
def answering(body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...  # noqa: A002 - the base class's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_the_server_is_healthy_only_while_it_runs(tmp_path: Path) -> None:
    lake = {"LAKE_URL": str(tmp_path / "lake")}
    with serving(tmp_path / "log", **lake) as address:
        port = int(address.rpartition(":")[2])
        assert healthy(port, **lake)
        assert [opens(port, host) for host in ("localhost", "127.0.0.1", "elsewhere.example")] == [101, 101, 403]
    assert not healthy(port, **lake)


def test_any_other_page_is_not_healthy(tmp_path: Path) -> None:
    with answering(b"<html>ok</html>") as port:
        assert not healthy(port, LAKE_URL=str(tmp_path))
    with answering(b"ok") as port:
        assert healthy(port, LAKE_URL=str(tmp_path))


def test_a_page_without_its_store_is_not_healthy() -> None:
    away = {"LAKE_URL": "s3://lake", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    away |= {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "any-secret"}
    with answering(b"ok") as port:
        said = command("health", "--port", str(port), **away)
    assert said.returncode == 1
    assert "bucket lake" in said.stdout
    assert len(said.stdout.splitlines()) == 1


def test_a_port_in_use_is_named_with_its_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = command("run", DASHBOARD_PORT=str(port))
    assert ended.returncode == 2
    assert str(port) in ended.stdout
    assert "DASHBOARD_PORT" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_wrong_port_is_wrong_usage() -> None:
    ended = command("run", DASHBOARD_PORT="eighty")
    assert ended.returncode == 2
    assert "DASHBOARD_PORT" in ended.stdout


def test_a_wrong_lake_is_one_line() -> None:
    ended = command("run", LAKE_URL="s3://lake", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert ended.returncode == 2
    assert "AWS_ACCESS_KEY_ID" in ended.stdout
    assert len(ended.stdout.splitlines()) == 1


def test_an_unused_port_is_not_healthy(tmp_path: Path) -> None:
    assert not healthy(free_port(), LAKE_URL=str(tmp_path))
