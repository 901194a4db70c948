"""Several lanes' storms over one Redis, inside of one another: the same externalIds and event ids in each, a Planhat each.

A step is any lane's, also in the middle of another's call; a process that dies takes the flushes under way in it along; lanes are held
and resumed, blocked and throttled. In the end each lane's own is in its own books and in its own Planhat, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import redis

from bench.storm.shocks import make_room
from bench.storm.storm import Storm
from bench.storm.tally import Tally
from bench.storm.world import Process, World
from relay.outbox.cluster_nodes import master_of
from relay.outbox.delivery import Delivery

LANES = ("main", "emea", "us", "apac", "brand")


def run_lanes(seed: int, client_of: Callable[[str], redis.Redis], tally: Tally) -> None:
    """`client_of(lane)`: in a cluster its slot's. Raises AssertionError."""
    chance = Random(seed)
    names = chance.sample(LANES, chance.randint(2, len(LANES)))
    # What is full is a server: lanes that lie on another one have a world of their own, but its steps are everybody's.
    worlds: dict[object, World] = {}
    process, storms = Process(), []
    for n, name in enumerate(names):
        client = client_of(name)
        client.time()
        server = master_of(client) or id(client)
        if server not in worlds:
            client.flushdb()
        storms.append(Storm(seed * 100 + n, client, tally, name, worlds.setdefault(server, World(process))))
    for world in worlds.values():
        world.storms = storms
    try:
        for _ in range(chance.randint(20, 60)):
            storm = chance.choice(storms)
            if chance.random() < 0.1:
                _hold_or_resume(storm, tally)
            storm.something()
        for storm in storms:
            storm.calm = True
            storm.room()
            if storm.paused:
                _hold_or_resume(storm, tally)
        for storm in chance.sample(storms, len(storms)):
            storm.end()
        for storm in storms:
            _check_alone(storm)
    finally:
        for storm in storms:
            make_room(storm.client)


def _hold_or_resume(storm: Storm, tally: Tally) -> None:
    """By a person. Not in the middle of a flush: what was under way goes out."""
    delivery = Delivery(storm.client, lane=storm.lane)
    storm.paused = not storm.paused
    if storm.paused:
        tally.held += 1
        delivery.pause()
    else:
        delivery.resume()


def _check_alone(storm: Storm) -> None:
    """Nothing of another lane is in its Planhat: each text names its lane."""
    for record in storm.planhat.records.values():
        words = str(record.get("description") or "").replace("<", " ").replace(">", " ").split()
        of = {words[at + 1] for at, word in enumerate(words[:-1]) if word == "text"}
        assert of <= {storm.lane}, (storm.lane, record)
