"""What the sandbox keeps on disk: each change as it happens, and the way back at the start.

One entry of the journal is `{"put": [conversations]}`, `{"delete": _id}`, `{"rows": {model: [rows]}}`,
`{"gone": {model: [_ids]}}`, `{"whole": {model: [rows]}}` (these rows and no others) or `{"types": [names]}`. `seed` is
what older versions wrote for rows and types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from relay.errors import SettingsInvalid
from relay.planhat.sandbox.directory import Directory
from relay.planhat.sandbox.journal import Journal
from relay.planhat.sandbox.listing import Row
from relay.planhat.sandbox.records import Record, Records


class State:
    """Writes the changes of one tenant to a journal, where there is one."""

    def __init__(
        self, journal: Journal | None, directory: Directory, records: Records, types: set[str]
    ) -> None:
        """`types`: those that were added while the sandbox ran; changed when they are read back."""
        self._journal = journal
        self._directory = directory
        self._records = records
        self._types = types

    def put(self, records: Iterable[Record]) -> None:
        """Keep conversations that were made or changed."""
        if self._journal is not None:
            self._append(self._journal, {"put": [record.as_entry() for record in records]})

    def delete(self, record: Record) -> None:
        """Keep that a conversation is gone."""
        if self._journal is not None:
            self._append(self._journal, {"delete": record.id})

    def rows(self, model: str, rows: list[Row]) -> None:
        """Keep rows of a model that were made or changed."""
        if self._journal is not None and rows:
            self._append(self._journal, {"rows": {model: rows}})

    def gone(self, model: str, key: str) -> None:
        """Keep that a row of a model is gone."""
        if self._journal is not None:
            self._append(self._journal, {"gone": {model: [key]}})

    def everything(self) -> None:
        """Write the file anew from what there is: after a reset, or when much was added at once."""
        if self._journal is not None:
            self._journal.rewrite(self._all())

    def restore(self) -> None:
        """Read everything back. Raises SettingsInvalid for a file that no sandbox wrote, and leaves that alone."""
        if self._journal is None:
            return
        try:
            for entry in self._journal.read():
                self._replay(entry)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SettingsInvalid(
                f"{self._journal.path}: not what a sandbox wrote; name another folder"
            ) from error
        self._journal.rewrite(self._all())

    def _append(self, journal: Journal, entry: dict[str, Any]) -> None:
        journal.append(entry)
        if journal.overgrown:
            journal.rewrite(self._all())

    def _all(self) -> Iterator[dict[str, Any]]:
        yield {"types": sorted(self._types)}
        for name, table in self._directory.tables.items():
            yield {"whole": {name: list(table.rows.values())}}
        for record in self._records:
            yield {"put": [record.as_entry()]}

    def _replay(self, entry: dict[str, Any]) -> None:
        for given in entry.get("put", ()):
            known = self._records.by_id(given["id"])
            if known is not None:
                self._records.release(known)
            self._records.add(Record(**given))
        gone = self._records.by_id(entry.get("delete", ""))
        if gone is not None:
            self._records.remove(gone)
        seed = entry.get("seed", {})
        self._directory.add(seed)
        self._types.update(seed.get("types", ()), entry.get("types", ()))
        for name in entry.get("whole", {}):
            self._directory.tables[name].clear()
        for name, rows in (*entry.get("rows", {}).items(), *entry.get("whole", {}).items()):
            for row in rows:
                self._directory.tables[name].put(row)
        for name, keys in entry.get("gone", {}).items():
            table = self._directory.tables[name]
            for key in keys:
                if key in table.rows:
                    table.remove(table.rows[key])
