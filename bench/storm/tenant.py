"""What a tenant is, to a bulk upsert and to a look at one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.errors import PlanhatNotFound


@dataclass
class Planhat:
    """What a tenant is, to a bulk upsert: records by company and externalId, addressed by `_id` first."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    style: str = "string"

    def upsert(self, body: bytes) -> tuple[int, bytes]:
        items = orjson.loads(body)
        wrong = [(i, item) for i, item in enumerate(items) if item["externalId"] in self.bad]
        if wrong and self.style == "400":
            return 400, b'"not acceptable"'
        answer: dict[str, Any] = {
            "created": 0,
            "updated": 0,
            "nonupdates": 0,
            "insertsKeys": [],
            "updatesKeys": [],
        }
        for item in items:
            if item["externalId"] in self.bad:
                continue
            held = self.records.get(item.get("_id", "")) or next(
                (
                    record
                    for record in self.records.values()
                    if (record["externalId"], record["companyId"]) == (item["externalId"], item["companyId"])
                ),
                None,
            )
            if held is None:
                key = f"{len(self.records) + 1:024x}"
                self.records[key] = {**item, "_id": key}
                answer["created"] += 1
                answer["insertsKeys"].append({"_id": key, "externalId": item["externalId"]})
            elif all(held.get(name) == value for name, value in item.items() if name != "_id"):
                answer["nonupdates"] += 1
            else:
                held.update({name: value for name, value in item.items() if name != "_id"})
                answer["updated"] += 1
                answer["updatesKeys"].append({"_id": held["_id"]})
        answer["createdErrors"] = [
            {
                "string": "no",
                "external_id": {"externalId": item["externalId"], "error": "no"},
                "index": {"index": i},
                "bare": {},
            }[self.style]
            for i, item in wrong
        ]
        return (206 if wrong else 200), orjson.dumps(answer)

    def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]:
        """One record by `_id` or `extid-...`. Raises PlanhatNotFound."""
        external_id = key.removeprefix("extid-")
        found = self.records.get(key) or next(
            (record for record in self.records.values() if record["externalId"] == external_id), None
        )
        if found is None:
            raise PlanhatNotFound("no such conversation")
        return dict(found)
