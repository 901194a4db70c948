"""Breaking it for real: `python -m bench.chaos --seed N --seconds S [--seeds K] [--only full,hang,...]`.

`relay serve`, `python -m workers`, an embedded Redis and a sandbox, each a real process or server; senders that post
signed Slack events (new ones, replies, edits, deletions, some twice) and try again until they see a 202. Meanwhile, at
random, what `breaks.py` and `states.py` list: killed and stopped processes, a Planhat that hangs, drops, refuses; a Redis
that is full, hangs, is set back to an older state, whose clock jumps, whose disk is full; two releases beside one another;
a person who pauses.

At each step what the relay says (`/readyz`, `/metrics`, `relay doctor`, `relay stats`, the ledger) is held against the truth:
what was done to it, what it answered, what the sandbox holds. In the end every event that was accepted must be delivered,
pending or dead (and, after the faults are mended, in Planhat), nothing twice in effect, the ledger balanced, every
conversation what its events say. The seed replays the schedule of faults and events; the exact interleaving is the machine's.
"""
