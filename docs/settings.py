"""Print the table of settings for docs/operations.md; with `--write`, put it there.

python docs/settings.py --write
"""

import re
import sys
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.settings import option_parameters
from dashboard.settings import Settings as Dashboard
from lake.settings import BucketSettings, LakeSettings
from pipeline.settings import MemberSettings, SchedulerSettings, WorkerSettings
from pipeline.settings import Settings as Pipeline
from simulator.settings import Settings as Simulator

PROGRAMS = {
    "all": LakeSettings,
    "all, with a bucket": BucketSettings,
    "pipeline, scheduler, worker": MemberSettings,
    "pipeline": Pipeline,
    "scheduler": SchedulerSettings,
    "worker": WorkerSettings,
    "simulator": Simulator,
    "dashboard": Dashboard,
}


def table() -> str:
    """Return the table in Markdown: one row for each variable, under the first program that has it."""
    lines, known = ["| variable | default | meaning | program |", "|---|---|---|---|"], set()
    for program, cls in PROGRAMS.items():
        for parameter in option_parameters(cls):
            option = get_args(parameter.annotation)[1]
            if option.envvar in known:
                continue
            known.add(option.envvar)
            default = option.show_default if isinstance(option.show_default, str) else _text(parameter.default)
            limits = "" if option.min is None else f" {option.min:,} to {option.max:,}."
            limits = limits if option.max is None or option.max < 1 << 30 else f" At least {option.min}."
            lines.append(f"| `{option.envvar}` | {default} | {option.help}{limits} | {program} |")
    return "\n".join(lines) + "\n"


def _text(default: object) -> str:
    if isinstance(default, bool):
        return "`on`" if default else "`off`"
    return "not set" if default in (None, "") else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    if "--write" not in sys.argv:
        print(table(), end="")
    else:
        page = Path(__file__).with_name("operations.md")
        marks = r"(<!-- settings -->\n).*(<!-- end of settings -->)"
        page.write_text(re.sub(marks, lambda match: match[1] + table() + match[2], page.read_text(), flags=re.DOTALL))
