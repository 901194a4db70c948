"""The drain's table: each situation and the one step it has."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest

from workers.flush.step import Permission, Situation, Step, next_step

GRANTED = Situation(permission=Permission.GRANTED)
FILLED = replace(GRANTED, filled=True)


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (Situation(), Step.ASK),
        (Situation(ready=5), Step.ASK),
        (Situation(stopping=True), Step.GIVE_BACK),
        (Situation(lane_lost=True), Step.GIVE_BACK),
        (Situation(let_go=True), Step.GIVE_BACK),
        (Situation(let_go=True, permission=Permission.SPENT), Step.GIVE_BACK),
        (Situation(let_go=True, unsettled=True), Step.ASK),
        (replace(FILLED, let_go=True, unsettled=True), Step.SETTLE),
        (Situation(late=True), Step.HAND_OVER),
        (Situation(late=True, ready=5), Step.ASK),
        (Situation(late=True, ready=5, final_call_made=True), Step.HAND_OVER),
        (Situation(late=True, suspects=1), Step.ASK),
        (Situation(late=True, suspects=1, final_call_made=True), Step.ASK),
        (Situation(late=True, stopping=True, ready=5), Step.GIVE_BACK),
        (Situation(permission=Permission.HELD, ready=5), Step.GIVE_BACK),
        (Situation(permission=Permission.SPENT, ready=5), Step.WAIT),
        (Situation(permission=Permission.LINGER, ready=5), Step.LINGER),
        (GRANTED, Step.FILL),
        (replace(GRANTED, ready=5), Step.FILL),
        (replace(GRANTED, late=True, ready=5), Step.FILL),
        (replace(GRANTED, late=True, ready=5, final_call_made=True), Step.CALL),
        (replace(GRANTED, late=True, suspects=1), Step.SUSPECT),
        (replace(FILLED, ready=5), Step.CALL),
        (replace(FILLED, ready=5, suspects=1), Step.CALL),
        (replace(FILLED, ready=5, look_up_held=True), Step.HOLD),
        (replace(FILLED, suspects=1), Step.SUSPECT),
        (replace(FILLED, found=True), Step.AGAIN),
        (replace(FILLED, found=True, unsettled=True), Step.AGAIN),
        (replace(FILLED, unsettled=True), Step.SETTLE),
        (FILLED, Step.GIVE_BACK),
        (replace(FILLED, lane_lost=True, ready=5), Step.GIVE_BACK),
        (replace(FILLED, stopping=True, ready=5), Step.GIVE_BACK),
    ],
)
def test_each_situation_has_its_step(situation: Situation, step: Step) -> None:
    assert next_step(situation) is step


def _all() -> list[Situation]:
    choices: list[tuple[object, ...]] = []
    for field in fields(Situation):
        if field.name == "permission":
            choices.append((None, *Permission))
        else:
            choices.append((0, 3) if field.name in {"ready", "suspects"} else (False, True))
    return [Situation(*values) for values in product(*choices)]  # type: ignore[arg-type]


def test_every_step_is_reached() -> None:
    assert {next_step(situation) for situation in _all()} == set(Step)


def test_what_must_hold_in_every_situation() -> None:
    for now in _all():
        step = next_step(now)
        if now.stopping or now.lane_lost:
            assert step is Step.GIVE_BACK, now
        if step is Step.CALL:
            assert now.ready, now
            assert now.permission is Permission.GRANTED, "no call without a place in the minute"
            assert not now.look_up_held, now
        if step is Step.SUSPECT:
            assert not now.ready, "a suspect goes alone"
        if step is Step.HAND_OVER:
            assert now.late, now
            assert not now.suspects, "a suspect is sent before the slice ends"
        if step is Step.GIVE_BACK and not (now.stopping or now.lane_lost):
            assert now.permission is Permission.HELD or not (now.ready or now.suspects or now.unsettled), now
