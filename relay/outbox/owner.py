"""Whose lane it is: Planhat's address and tenant. Two relays on the same keys would deliver to each other's tenant.

A token is a tenant's, and Planhat tells nobody whose. So the lane remembers fingerprints of the tokens that were proven to
be its own, and some conversations that stand there: a token that sees one of them is the same tenant's (it was changed, or
the tenant moved to another host), one that sees none is another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from relay.lane_name import MAIN
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import run_script

#: Another token was at work so recently: it is not the same relay's older one.
AT_WORK_MS: Final = 60_000

#: What Planhat says of a conversation's `_id`: it stands there, it does not, the token is refused, or there is no answer.
SeenInPlanhat = Literal["there", "gone", "refused", "away"]
Sees = Callable[[str], SeenInPlanhat]


@dataclass(frozen=True, slots=True)
class Owner:
    """`holders`: fingerprint -> when it was seen last (epoch ms); `witnesses`: `_id`s. Nobody's: `url` is ""."""

    url: str
    since_ms: int
    holders: dict[str, int]
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`ours`: the lane is. Else `sentence` says why not; `known` False: it could not be found out now."""

    ours: bool
    sentence: str = ""
    known: bool = True


OURS: Final = Relation(True)


def holder_of(url: str, token: str) -> str:
    """Return a fingerprint that tells nothing of the token."""
    return sha256(f"relay lane holder\x1f{_address(url)}\x1f{token}".encode()).hexdigest()[:16]


class Ownership:
    """One relay's, by `url` and `token()` (which may change)."""

    def __init__(self, outbox: Outbox, url: str, token: Callable[[], str]) -> None:
        self.outbox = outbox
        self._url = _address(url)
        self._token = token

    def look(self, *, claim: bool) -> Relation:
        """Return what the lane itself says, in one question; with `claim` one that is nobody's becomes ours. `known` False: Planhat
        must be asked. Raises OutboxUnavailable."""
        question = self.question(claim=claim)
        return (
            self.told(run_script(self.outbox.redis, "owner", self.outbox.prefix, question))
            if question
            else OURS
        )

    def question(self, *, claim: bool) -> list[Any]:
        """Return what the script `owner` is asked for a `look`, where somebody asks it for several lanes together; then `told`. Empty:
        without a token nothing is to be asked, and the lane is ours."""
        token = self._token()
        return _args("claim" if claim else "look", self._url, holder_of(self._url, token)) if token else []

    def told(self, answer: Any) -> Relation:
        """Return what `look` does, from the answer to `question`."""
        owner = _read(answer)
        if not owner.url or holder_of(self._url, self._token()) in owner.holders:
            return OURS
        return Relation(
            False, self._sentence(owner, "it is not known yet whether this token is its own"), known=False
        )

    def prove(self, sees: Sees, *, blocked: bool, now_ms: int = 0) -> Relation:
        """Finds out by what stands in Planhat. `blocked`: Planhat refused the token that was used last. Raises
        OutboxUnavailable."""
        now_ms = now_ms or self.outbox.now_ms()
        holder = holder_of(self._url, self._token())
        owner = self._run("look", holder)
        if not owner.url or holder in owner.holders:
            return OURS
        answers: set[SeenInPlanhat] = set()
        for witness in owner.witnesses:
            answers.add(sees(witness))
            if "there" in answers:
                self._run("add", holder)
                return OURS
            if "away" in answers:
                break
        if "refused" in answers and owner.url == self._url:
            # A token that delivers nothing harms nobody; the right one will show whose it is.
            return OURS
        if answers & {"away", "refused"}:
            why = "Planhat does not answer" if "away" in answers else "Planhat refuses the token"
            return Relation(
                False, self._sentence(owner, f"{why}, so that nobody can say whose it is"), known=False
            )
        if answers:
            return Relation(False, self._sentence(owner, "this token sees none of its conversations"))
        # Nothing was delivered yet, so that nothing proves anything.
        if owner.url == self._url:
            others = [at_ms for at_ms in owner.holders.values() if now_ms - at_ms < AT_WORK_MS]
            if blocked or not others:
                self._run("add", holder)
                return OURS
            return Relation(False, self._sentence(owner, "another token is at work there"))
        if not any(counts["accepted"] for counts in self.outbox.ledger().values()):
            self._run("replace", holder)
            return OURS
        return Relation(False, self._sentence(owner, "this one delivers elsewhere"))

    def seen(self, planhat_id: str) -> None:
        """Note that a conversation of the lane was read in Planhat: it proves whose token that was."""
        self._run("witness", holder_of(self._url, self._token()), planhat_id)

    def adopt(self) -> Owner:
        """Make the lane ours from now on; gives whose it was."""
        before = self.read()
        self._run("replace", holder_of(self._url, self._token()))
        return before

    def read(self) -> Owner:
        return self._run("look", "")

    def _sentence(self, owner: Owner, why: str) -> str:
        lane = self.outbox.lane_name
        option = "" if lane == MAIN else f" --lane {lane}"
        return (
            f"the keys {self.outbox.prefix} in this Redis belong to the relay of {owner.url}, and this one is of {self._url}: {why}. "
            f"Give it keys of its own (RELAY_KEY_PREFIX), or run `relay adopt{option}` if the relay has moved to another Planhat"
        )

    def _run(
        self, mode: Literal["look", "claim", "add", "witness", "replace"], holder: str, planhat_id: str = ""
    ) -> Owner:
        args = _args(mode, self._url, holder, planhat_id)
        return _read(run_script(self.outbox.redis, "owner", self.outbox.prefix, args))


def _args(mode: str, url: str, holder: str, planhat_id: str = "") -> list[Any]:
    return [0, mode, url, holder, planhat_id]


def _read(answer: list[Any]) -> Owner:
    stored = dict(zip((name.decode() for name in answer[::2]), answer[1::2], strict=True))
    return Owner(
        url=stored.get("url", b"").decode(),
        since_ms=int(stored.get("since_ms", 0)),
        holders={name[7:]: int(at) for name, at in stored.items() if name.startswith("holder:")},
        witnesses=tuple(name[8:] for name in stored if name.startswith("witness:")),
    )


def _address(url: str) -> str:
    return url.strip().rstrip("/").lower()
