"""Client of the debug adapter protocol: does what an editor does when it starts a launch configuration."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, NamedTuple, Self

Message = dict[str, Any]


class Command(NamedTuple):
    """Process to start: its arguments, and what is added to this one's environment (None: taken out)."""

    arguments: Sequence[str]
    environ: Mapping[str, str | None] = {}


class TerminalRequest(NamedTuple):
    """Program that the adapter asks the editor to start in a terminal."""

    arguments: list[str]
    folder: str
    environ: dict[str, str | None]


class Stop(NamedTuple):
    """Place at which the debugged program stands still, and the reason."""

    reason: str
    thread: str
    function: str
    path: str
    line: int
    frame: int


def _start(command: Command, folder: Path, **streams: Any) -> subprocess.Popen[bytes]:
    environ = {**os.environ, **command.environ}
    told = {name: value for name, value in environ.items() if value is not None}
    return subprocess.Popen(command.arguments, cwd=folder, env=told, start_new_session=True, **streams)


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read_message(stream: BinaryIO) -> Message | None:
    length = 0
    while header := stream.readline().strip():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(stream.read(length)) if length else None


class DebugSession:
    """One debugged program, from its start to its end; a context manager that leaves no process behind."""

    def __init__(
        self,
        adapter: Command,
        terminal: Callable[[TerminalRequest], Command],
        log: Path,
        *,
        folder: Path,
        seconds: float = 60,
    ) -> None:
        """Start the adapter; `terminal` says how what it asks for is started, `log` takes that one's output."""
        self._terminal, self._log, self._folder, self._seconds = terminal, log, folder, seconds
        self._adapter = _start(adapter, folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._terminals: list[subprocess.Popen[bytes]] = []
        self._messages: queue.Queue[Message | None] = queue.Queue()
        self._events: list[Message] = []
        self._answers: dict[int, Message] = {}
        self._sequence = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """State hello to the adapter."""
        self.request(
            "initialize",
            adapterID="debugpy",
            pathFormat="path",
            linesStartAt1=True,
            columnsStartAt1=True,
            supportsRunInTerminalRequest=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the program, if it still runs, and the adapter."""
        with suppress(OSError, AssertionError):
            self.request("disconnect", terminateDebuggee=True)
        assert self._adapter.stdin
        with suppress(OSError):
            self._adapter.stdin.close()
        for process in (*self._terminals, self._adapter):
            _end(process, 10)
        self._reader.join()
        assert self._adapter.stdout
        self._adapter.stdout.close()

    def launch(
        self,
        configuration: Mapping[str, Any],
        breakpoints: Mapping[str, Sequence[int | tuple[int, str]]],
        exceptions: Sequence[str] = (),
        request: Literal["launch", "attach"] = "launch",
    ) -> None:
        """Start what the configuration says, with breakpoints by path and line; each must be accepted.

        A breakpoint is a line, or a line and its condition. `exceptions` are filters of the adapter: `userUnhandled`,
        `raised`, `uncaught`.
        """
        launched = self._send_request(request, **configuration)
        self._event("initialized")
        for path, lines in breakpoints.items():
            wanted = [
                {"line": one} if isinstance(one, int) else dict(zip(("line", "condition"), one, strict=True))
                for one in lines
            ]
            answer = self.request("setBreakpoints", source={"path": path}, breakpoints=wanted)
            assert all(point["verified"] for point in answer["breakpoints"]), answer
        self.request("setExceptionBreakpoints", filters=list(exceptions))
        self.request("configurationDone")
        self._answer(launched, request)

    def stopped(self, seconds: float | None = None) -> Stop:
        """Wait until the program stops, and say where."""
        event = self._event("stopped", seconds)["body"]
        threads = {thread["id"]: thread["name"] for thread in self.request("threads")["threads"]}
        frame = self.request("stackTrace", threadId=event["threadId"], levels=1)["stackFrames"][0]
        path = frame["source"]["path"]
        return Stop(event["reason"], threads[event["threadId"]], frame["name"], path, frame["line"], frame["id"])

    def variables(self, stop: Stop) -> dict[str, str]:
        """Return the local variables as an editor's pane shows them."""
        scope = self.request("scopes", frameId=stop.frame)["scopes"][0]
        shown = self.request("variables", variablesReference=scope["variablesReference"])["variables"]
        return {variable["name"]: variable["value"] for variable in shown}

    def evaluate(self, stop: Stop, expression: str) -> str:
        """Return an expression's value in the frame of a stop, as text."""
        return str(self.request("evaluate", expression=expression, frameId=stop.frame, context="watch")["result"])

    def resume(self) -> None:
        """Continue the program."""
        self.request("continue", threadId=0)

    def exit_code(self) -> int:
        """Wait for the program's end and give its exit code."""
        code = int(self._event("exited")["body"]["exitCode"])
        self._event("terminated")
        return code

    def request(self, command: str, **arguments: object) -> Message:
        """Send a request and give the body of its answer; one that failed is an error."""
        return self._answer(self._send_request(command, **arguments), command)

    def _send_request(self, command: str, **arguments: object) -> int:
        return self._send({"type": "request", "command": command, "arguments": arguments})

    def _send(self, message: Message) -> int:
        self._sequence += 1
        body = json.dumps({"seq": self._sequence, **message}).encode()
        assert self._adapter.stdin
        self._adapter.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._adapter.stdin.flush()
        return self._sequence

    def _answer(self, sequence: int, command: str) -> Message:
        self._pump(lambda: sequence in self._answers, f"the answer to {command}")
        answer = self._answers.pop(sequence)
        assert answer["success"], f"{command}: {answer.get('message')}\n{self._output()}"
        return dict(answer.get("body") or {})

    def _event(self, name: str, seconds: float | None = None) -> Message:
        self._pump(lambda: any(event["event"] == name for event in self._events), f"the event {name}", seconds)
        event = next(event for event in self._events if event["event"] == name)
        self._events.remove(event)
        return event

    def _pump(self, done: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        deadline = time.monotonic() + (seconds or self._seconds)
        while not done():
            try:
                message = self._messages.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                message = None
            assert message, f"{what} did not come; events: {self._names()}\n{self._output()}"
            self._take(message)

    def _take(self, message: Message) -> None:
        if message["type"] == "response":
            self._answers[message["request_seq"]] = message
        elif message["type"] == "event":
            self._events.append(message)
        else:
            self._serve(message)

    def _serve(self, request: Message) -> None:
        answer = {"type": "response", "request_seq": request["seq"], "command": request["command"]}
        known = request["command"] == "runInTerminal"
        self._send({**answer, "success": known, "body": self._run(request["arguments"]) if known else {}})

    def _run(self, arguments: Message) -> Message:
        command = self._terminal(TerminalRequest(arguments["args"], arguments["cwd"], arguments.get("env") or {}))
        with self._log.open("ab") as log:
            process = _start(command, self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self._terminals.append(process)
        return {"processId": process.pid}

    def _read(self) -> None:
        stream = self._adapter.stdout
        assert stream
        while message := _read_message(stream):  # a pipe's reading end
            self._messages.put(message)
        self._messages.put(None)

    def _names(self) -> list[str]:
        return [event["event"] for event in self._events]

    def _output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""
