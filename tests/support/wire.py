"""Hostile wire: a proxy in front of a real object store, that can be told to fail while it runs.

The signature of a request covers its Host header, and that goes on as it came, so the store accepts what the proxy
passes. HTTP/1.1 without pipelining is all that it understands.
"""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import BinaryIO, Literal

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
LISTEN = r"GET .*[?&]events="
BLOCK = 1 << 16


@dataclass
class Fault:
    """Fault of the requests whose `METHOD /path?query` matches `pattern`: as many times as `times` says, or for good.

    answer: the proxy answers with `status` by itself.  close, reset: the connection ends, after `after` bytes of the
    body.  hold: nothing is passed, and the connection stays.  slow: the answer comes in blocks of `after` bytes, ten
    a second.
    """

    pattern: str
    how: Literal["answer", "close", "reset", "hold", "slow"]
    times: int | None = None
    status: int = 503
    after: int = 0
    hits: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)  # each connection has a thread of its own

    def takes(self, request: str) -> bool:
        """Return whether this request is one of its; count it."""
        with self._counting:
            if self.times == self.hits or not re.search(self.pattern, request):
                return False
            self.hits += 1
            return True


@dataclass
class Proxy:
    """Port on loopback that passes everything on to `target`, a port too, until `faults` say otherwise."""

    target: int
    faults: list[Fault] = field(default_factory=list)
    _open: set["_Connection"] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._closed = threading.Event()

    def add(self, *args: object, **named: object) -> Fault:
        """Begin a fault (see `Fault`)."""
        fault = Fault(*args, **named)
        self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """End all faults; connections that are held end too, for what they waited for is gone."""
        self.faults.clear()
        for connection in list(self._open):
            if connection.held:
                connection.end()

    def cut(self, pattern: str, how: Literal["close", "reset"] = "close") -> int:
        """End the connections whose last request matches; give their number."""
        found = [one for one in list(self._open) if re.search(pattern, one.request)]
        for connection in found:
            connection.end(reset=how == "reset")
        return len(found)

    def serve(self) -> None:
        """Take connections until closed."""
        while not self._closed.is_set():
            with suppress(OSError):
                client, _ = self._server.accept()
                _Connection(self, client).start()

    def close(self) -> None:
        """End everything."""
        self._closed.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in list(self._open):
            connection.end()
        deadline = time.monotonic() + 5
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy while the block runs."""
    proxy = Proxy(port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(10)


class _Connection:
    """One client's connection and ours to the store; a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy, self.client = proxy, client
        self.request, self.held, self.fault = "", False, None
        self.ended = count(1)  # of the two directions
        self.passed = 0  # bytes of the answer to the last request
        self.store = socket.create_connection(("127.0.0.1", proxy.target))
        proxy._open.add(self)

    def start(self) -> None:
        for work in (self._requests, self._answers):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def end(self, reset: bool = False) -> None:
        """End it in an orderly way (FIN), or with a reset (RST)."""
        for one in (self.store, self.client):
            with suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    one.shutdown(socket.SHUT_RD)  # says nothing to the peer, and ends the thread that reads
                else:
                    one.shutdown(socket.SHUT_RDWR)

    def hush(self) -> None:
        """Keep it, and pass nothing any more."""
        self.held = True

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run one direction; when both have ended, close both ends."""
        with suppress(OSError, ValueError):  # it was ended from the other side, or by the other thread
            work()
        if not self.held:
            self.end()
        if next(self.ended) == 2:
            self.proxy._open.discard(self)
            self.store.close()
            self.client.close()

    def _requests(self) -> None:
        """Pass request after request, or do to it what a fault says."""
        with self.client.makefile("rb") as stream:
            while head := _head(stream):
                self.request = " ".join(head[0].decode("latin-1").split()[:2])
                self.passed = 0
                self.fault = next((one for one in self.proxy.faults if one.takes(self.request)), None)
                length = _length(head)
                if self.fault is None or self.fault.how == "slow" or (self.fault.after and not length):
                    self._pass(b"".join(head), stream, length)
                elif self.fault.how == "hold":
                    self.held = True
                    return
                elif self.fault.how == "answer":
                    stream.read(length)
                    self.client.sendall(_refusal(self.fault.status))
                else:
                    self._pass(b"".join(head), stream, min(self.fault.after, length))
                    self.end(reset=self.fault.how == "reset")

    def _pass(self, head: bytes, stream: BinaryIO, length: int) -> None:
        self.store.sendall(head)
        while length and (block := stream.read1(min(length, BLOCK))):  # type: ignore[attr-defined]
            self.store.sendall(block)
            length -= len(block)

    def _answers(self) -> None:
        while block := self.store.recv(self.fault.after if self.fault and self.fault.how == "slow" else BLOCK):
            fault = self.fault
            if self.held:
                continue
            if fault and fault.how == "slow":
                time.sleep(0.1)
            elif fault and fault.how in ("close", "reset"):
                self.client.sendall(block[: max(0, fault.after - self.passed)])
                self.passed += len(block)
                if self.passed >= fault.after:
                    return self.end(reset=fault.how == "reset")
                continue
            self.client.sendall(block)
        return None


def _head(stream: BinaryIO) -> list[bytes]:
    lines: list[bytes] = []
    while (line := stream.readline()) and line != b"\r\n":
        lines.append(line)
    return [*lines, line] if lines else []


def _length(head: list[bytes]) -> int:
    for line in head[1:-1]:
        name, _, value = line.partition(b":")
        assert name.lower() != b"transfer-encoding", "a request in chunks: this proxy cannot tell where it ends"
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _refusal(status: int) -> bytes:
    code = {500: "InternalError", 503: "SlowDown", 507: "XMinioStorageFull"}[status]
    body = f"<Error><Code>{code}</Code><Message>made up by a test</Message></Error>".encode()
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
