"""What a command prints for a person."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pipeline.verify import Report


def show_differences(found: Report) -> None:
    """Print the differences that a verification found, and in one line what it has verified and what not."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if found.differences:
        names = ("object", "line", "what", "expected", "found")
        table = Table(*(Column(name, overflow="fold") for name in names))  # a key that is cut names nothing
        for one in found.differences:
            table.add_row(*map(escape, (one.key, str(one.line or ""), one.what, one.expected, one.found)))
        console.print(table)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.reasons.most_common())
    told = f"{found.files:,} files verified, {found.rows:,} rows; {len(found.unverified):,} not verified"
    told += f" ({reasons})" if reasons else ""
    console.print(f"{told}; {len(found.differences):,} differences", markup=False, highlight=False)
