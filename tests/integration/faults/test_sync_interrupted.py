# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`database_sync` killed in the middle, and run by two controllers at once: the state that is declared is reached."""

from __future__ import annotations

import random
import typing as t

import pytest
from gate import Gate

from ..conftest import Unsafe, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import servers

    from ..conftest import Ground, Play, Values

NAMES = [f"role-{number:02}" for number in range(40)]
SURPLUS = [f"surplus-{number:02}" for number in range(20)]
# One write for the mount, one for the connection, one for each role; and as many again to get from one document to another.
POINTS = [1, 2, *sorted(random.Random(7).sample(range(3, len(NAMES) + 2), 4))]  # noqa: S311 (no secret)


@pytest.fixture(scope="module")
def place(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    return ground(postgres, "interrupted")


@pytest.fixture
def engine(place: Ground) -> Ground:
    """The database is there, and nothing is mounted."""
    place.bao.request("DELETE", f"sys/mounts/{place.mount}")
    return place


@pytest.fixture
def gate(engine: Ground) -> Iterator[Gate]:
    with Gate(engine.bao) as gate:
        yield gate


def synchronisation(engine: Ground, default_ttl: int) -> str:
    document: Values = {
        "mount": engine.mount,
        "engine": {"max_lease_ttl": 86400},
        "connections": [{
            "name": "db", "username": engine.admin, "password": engine.admin_password, "allowed_roles": ["*"],
            "connection_url": Unsafe(
                f"postgresql://{{{{username}}}}:{{{{password}}}}@{engine.server.host}:{engine.server.port}/{engine.database}?sslmode=disable"
            ),
        }],
        "roles": [
            {"name": name, "db_name": "db", "in_role": engine.group, "default_ttl": default_ttl} for name in NAMES
        ],
        "prune": ["roles"],
    }  # fmt: skip
    task = {"name": "sync", "leasehold.vault.database_sync": document}
    return as_yaml([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}])


def is_declared(engine: Ground, default_ttl: int) -> bool:
    names = engine.bao.request("LIST", f"{engine.mount}/roles")["data"]["keys"]
    return names == NAMES and all(engine.read(f"roles/{name}")["default_ttl"] == default_ttl for name in NAMES)


def kill_after(play: Play, text: str, gate: Gate, writes: int) -> None:
    """SIGKILL for every process of the run, once the server has answered so many writes and before the next."""
    gate.shut_after(writes)
    started = play.start(text, env=gate.environment)
    started.wait_for(gate.is_shut)
    started.kill()
    gate.open()


@pytest.mark.parametrize("point", [*POINTS[:2], *(pytest.param(point, marks=pytest.mark.full) for point in POINTS[2:])])
def test_sync_killed_at_any_point_is_completed_by_next_run(engine: Ground, play: Play, gate: Gate, point: int) -> None:
    kill_after(play, synchronisation(engine, 3600), gate, point)
    finished = play(synchronisation(engine, 3600)).result("sync")
    assert {"create", "none"} >= {each["action"] for each in finished["objects"]}
    assert is_declared(engine, 3600)
    assert play(synchronisation(engine, 3600)).changes == 0


@pytest.mark.full
@pytest.mark.parametrize("point", [1, len(SURPLUS) // 2, len(SURPLUS) + len(NAMES) // 2])
def test_killed_update_and_prune_are_completed_by_next_run(engine: Ground, play: Play, gate: Gate, point: int) -> None:
    play(synchronisation(engine, 3600))
    for name in SURPLUS:
        engine.role(name)
    kill_after(play, synchronisation(engine, 7200), gate, point)
    assert not is_declared(engine, 7200)
    assert play(synchronisation(engine, 7200)).changes == 1
    assert is_declared(engine, 7200)
    assert play(synchronisation(engine, 7200)).changes == 0


def test_two_controllers_at_once_end_in_the_declared_state(engine: Ground, play: Play) -> None:
    both = [play.start(synchronisation(engine, 3600)) for _controller in range(2)]
    runs = [started.finish() for started in both]
    assert [run.code for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert is_declared(engine, 3600)
    assert play(synchronisation(engine, 3600)).changes == 0


@pytest.mark.full
def test_conflicting_controllers_both_report_real_state(engine: Ground, play: Play) -> None:
    """A write that somebody else overwrote before it was read back is an error, and never reported as done."""
    both = {ttl: play.start(synchronisation(engine, ttl)) for ttl in (3600, 7200)}
    runs = {ttl: started.finish() for ttl, started in both.items()}
    kept = [engine.read(f"roles/{name}")["default_ttl"] for name in NAMES]
    assert set(kept) <= {3600, 7200}
    for ttl, run in runs.items():
        if not run.ok:
            assert "does not show it: it still differs in default_ttl" in run.result("sync")["msg"]
        assert play(synchronisation(engine, ttl)).ok
        assert is_declared(engine, ttl)
