"""The workshop's file, and the stops of a debugger in its transform."""

from tests.support.dap import DebugSession, Stop
from tests.support.project import RELATIVE

TRANSFORM = f"{RELATIVE}/companydata.py"


def workshop_file() -> bytes:
    """Return 24 rows in the workshop's shape: 4 months, 3 departments, 2 stores."""
    lines = ["Month,Dept,Store,Sold,Returned,Ordered"]
    for number in range(24):
        month, dept, store = f"{number // 6 + 1}-Jan", f"Dept {'ABC'[number // 2 % 3]}", f"Store {number % 2 + 1}"
        lines.append(f"{month},{dept},{store},{100 + number},{number},{2 * number}")
    return ("\n".join(lines) + "\n").encode()


def next_stop(session: DebugSession) -> Stop:
    """Return the next stop with rows: a transform is called with an empty frame too, for its columns."""
    while True:
        stop = session.stopped()
        if stop.function != "transform" or session.evaluate(stop, "len(frame)") != "0":
            return stop
        session.resume()
