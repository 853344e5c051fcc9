"""The settings of the source system, told by environment variables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from common.errors import SettingError

FILES_PER_SECOND = (0.1, 50.0)  # lowest and highest
ROWS = (1, 100_000)
PORT = "8001"
DEFAULTS = {
    "LAKE_URL": "./data/lake",
    "FEED": "on",
    "FEED_FILES_PER_SECOND": "1",
    "FEED_ROWS": "100",
    "SIMULATOR_SEED": "",
}
_SWITCH = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the lake is, what the feed does at the start, and the seed of all data (None: another one each time)."""

    lake_url: str
    feed_on: bool
    files_per_second: float
    rows: int
    seed: int | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; one that is missing or empty has its default, a wrong one is a `SettingError`."""
        told = {name: environ.get(name, "").strip() or default for name, default in DEFAULTS.items()}
        return cls(
            lake_url=told["LAKE_URL"],
            feed_on=_switch("FEED", told["FEED"]),
            files_per_second=_number("FEED_FILES_PER_SECOND", told["FEED_FILES_PER_SECOND"], *FILES_PER_SECOND),
            rows=whole("FEED_ROWS", told["FEED_ROWS"], *ROWS),
            seed=whole("SIMULATOR_SEED", told["SIMULATOR_SEED"], 0, 2**63 - 1) if told["SIMULATOR_SEED"] else None,
        )


def whole(name: str, text: str, low: int, high: int) -> int:
    """Read a whole number from `low` to `high`; `SettingError` names the setting."""
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingError(f"{name} is {text!r}: expected a whole number from {low} to {high}")
    return value


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise SettingError(f"{name} is {text!r}: expected a number from {low:g} to {high:g}")
    return value


def _switch(name: str, text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise SettingError(f"{name} is {text!r}: expected on or off")
    return _SWITCH[text.lower()]
