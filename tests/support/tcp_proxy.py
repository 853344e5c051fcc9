"""Cable between two programs on loopback, which a test can cut and mend."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BLOCK = 1 << 16


class Cable:
    """Port that passes every connection on to `target`; while it is cut, nothing passes, and nobody is told."""

    def __init__(self, target: int) -> None:
        self._target, self._whole = target, threading.Event()
        self._whole.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def cut(self) -> None:
        """Hold everything back, as a network that loses each packet."""
        self._whole.clear()

    def mend(self) -> None:
        """Close the connections that were cut, since their ends have lost bytes; pass on new ones."""
        self._hang_up()
        self._whole.set()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self.mend()
        for thread in self._threads:
            thread.join(10)

    def _hang_up(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _run(self, work: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(thread := threading.Thread(target=work, args=args, daemon=True))
        thread.start()

    def _accept(self) -> None:
        with self._server, suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._whole.wait()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self._run(self._pass, client, server)
                self._run(self._pass, server, client)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with source, suppress(OSError):
            while block := source.recv(BLOCK):
                self._whole.wait()
                target.sendall(block)
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """Lay a cable while the block runs."""
    cable = Cable(port)
    try:
        yield cable
    finally:
        cable.close()
