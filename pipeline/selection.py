"""Which sources of the ledger a command is about."""

from dataclasses import dataclass

from pipeline.ledger import Ledger
from storage.console import SettingError


@dataclass(frozen=True)
class Selection:
    """Some sources: those with these keys, with this status, and stale, as far as each is asked; else all."""

    keys: tuple[str, ...] = ()
    status: str | None = None
    stale: bool = False

    def __bool__(self) -> bool:
        """Say whether anything is asked."""
        return bool(self.keys or self.status or self.stale)

    def where(self) -> tuple[str, list[object]]:
        """Give it as a condition on the table `source`, and the values for its marks."""
        asked, values = ["TRUE"], list[object](self.keys)
        if self.keys:
            asked.append(f"source_key IN ({', '.join('?' * len(self.keys))})")
        if self.status:
            asked.append("status = ?")
            values.append(self.status)
        if self.stale:
            asked.append("stale")
        return " AND ".join(asked), values

    def check(self, ledger: Ledger) -> None:
        """Raise `SettingError` that names the keys which the ledger does not know."""
        condition, values = Selection(self.keys).where()
        known = {row["source_key"] for row in ledger.rows(f"SELECT source_key FROM source WHERE {condition}", *values)}
        if unknown := [key for key in self.keys if key not in known]:
            raise SettingError(
                f"KEY: the ledger knows no {', '.join(map(repr, unknown))}: expected a key as `status` shows it, "
                "like raw/companydata/companydata.csv"
            )
