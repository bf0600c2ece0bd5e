# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Much at once: no error, and nothing left.  LEASEHOLD_LOAD=full takes the full numbers, which need some minutes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import os
import time
import typing as t
import urllib.error

import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import issue
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import renew
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in

from ..conftest import CALLBACK, as_yaml
from .issuing import Issuing

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Ground, Play, Values

pytestmark = pytest.mark.full

FULL = os.environ.get("LEASEHOLD_LOAD") == "full"
LEASES = 500 if FULL else 60
HOSTS, FORKS = (200, 50) if FULL else (40, 20)
ROLES, CLIENTS = (1000, 16) if FULL else (100, 16)


@pytest.fixture(scope="module")
def place(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    place = ground(postgres, "load")
    place.sql("ALTER ROLE load_admin WITH CREATEROLE; GRANT pg_signal_backend TO load_admin")
    return place


def counted(place: Ground) -> dict[str, int]:
    """Users that Vault has made here, sessions of such, leases, leases that cannot be revoked, and tokens."""
    ((sessions,),) = place.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'v-%'")
    counts = place.bao.request("GET", "sys/leases/count?type=irrevocable&include_child_namespaces=true")["data"]
    return {
        "users": len(place.issued()),
        "sessions": sessions,
        "leases": len(leases(place)),
        "irrevocable": counts["lease_count"],
        "tokens": len(place.bao.request("LIST", "auth/token/accessors")["data"]["keys"]),
    }


def leases(place: Ground) -> list[str]:
    try:
        keys = place.bao.request("LIST", f"sys/leases/lookup/{place.mount}/creds")["data"]["keys"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return []
    return [lease for key in keys for lease in place.leases(key.strip("/"))]


@pytest.fixture
def nothing_left(place: Ground) -> Iterator[None]:
    before = counted(place)
    yield
    servers.wait_for(
        "no more is there than before", lambda: all(now <= before[of] for of, now in counted(place).items()), 120
    )


def session(place: Ground) -> t.Any:
    return log_in({"url": place.bao.url, "ca_cert": str(place.bao.ca_cert), "token": place.bao.token}).client


def at_once(what: Callable[[t.Any], t.Any], items: t.Iterable[t.Any]) -> list[t.Any]:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(what, items))


def playbook(*tasks: Values) -> str:
    return as_yaml([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}])


def role(place: Ground, play: Play, name: str, **more: t.Any) -> str:
    """A role as the collection writes it."""
    options = {"mount": place.mount, "name": name, "db_name": "db", "in_role": place.group, **more}
    play(playbook({"name": "role", "leasehold.vault.database_role": options}))
    return name


@pytest.mark.usefixtures("nothing_left")
def test_leases_expiring_in_one_second_are_all_revoked(place: Ground, play: Play) -> None:
    many = role(place, play, "many", default_ttl="1h", max_ttl="2h")
    client = session(place)
    users = at_once(lambda _number: issue(client, place.mount, many).credentials, range(LEASES))
    with contextlib.ExitStack() as stack:
        for user in users[:20]:  # with a transaction that stays open
            opened = place.server.connect(place.database, user=user["username"], password=user["password"])
            opened.autocommit = False
            opened.cursor().execute("INSERT INTO items VALUES ('of somebody who stays')")
            stack.callback(opened.close)
        assert counted(place)["users"] == counted(place)["leases"] == LEASES
        assert counted(place)["sessions"] == 20

        def end_together() -> bool:
            """On a busy machine it takes more than one try: a renewal counts from when Vault gets it."""
            end = time.time() + LEASES / 10 + 30
            at_once(lambda user: renew(client, user["lease_id"], max(round(end - time.time()), 1)), users)
            ends = [ending(place, user["lease_id"]) for user in users[:: LEASES // 10]]
            return max(ends) - min(ends) <= datetime.timedelta(seconds=2)

        servers.wait_for("leases that end together", end_together, 180)
        servers.wait_for("all leases have ended", lambda: counted(place)["leases"] == 0, 180)
        servers.wait_for("all users are gone", lambda: counted(place)["users"] == 0, 60)
        assert counted(place)["irrevocable"] == 0
        assert counted(place)["sessions"] == 0


def ending(place: Ground, lease_id: str) -> datetime.datetime:
    result = place.bao.request("PUT", "sys/leases/lookup", {"lease_id": lease_id})["data"]["expire_time"]
    return datetime.datetime.fromisoformat(result[:19])


@pytest.mark.usefixtures("nothing_left")
def test_each_of_many_hosts_has_one_user_revoked_at_end(place: Ground, play: Play) -> None:
    wide = role(place, play, "widely", default_ttl="1h", max_ttl="2h")
    login = place.approle("widely")
    asked = f"lookup('leasehold.vault.database_credentials', '{wide}', mount='{place.mount}', revoke='at_end').username"
    play.inventory = [",".join(f"host{number:03}" for number in range(HOSTS))]
    mark = place.mark()
    run = play(
        playbook(
            {"name": "first", "ansible.builtin.debug": {"msg": f"{{{{ {asked} }}}}"}},
            {"name": "again", "ansible.builtin.debug": {"msg": f"{{{{ {asked} }}}}"}},
        ),
        "--forks", str(FORKS), env={**login, "ANSIBLE_CALLBACKS_ENABLED": CALLBACK},
    )  # fmt: skip
    assert len(set(run.messages("first"))) == HOSTS
    assert sorted(run.messages("again")) == sorted(run.messages("first"))
    counts = place.asked(mark)
    assert counts[f"read {place.mount}/creds/{wide}"] == HOSTS
    assert sum(count for what, count in counts.items() if what.endswith("/login")) == 1
    assert f"leasehold: revoked {HOSTS} lease(s) of {place.mount}/creds/{wide}" in run.output


@pytest.mark.usefixtures("nothing_left")
def test_sync_of_many_roles_while_issuing(place: Ground, play: Play) -> None:
    busy = role(place, play, "busily", default_ttl="1h", max_ttl="2h")

    def synchronisation(count: int, ttl: int) -> str:
        roles = [
            {"name": f"role-{n:04}", "db_name": "db", "in_role": place.group, "default_ttl": ttl} for n in range(count)
        ]
        kept = {"name": busy, "db_name": "db", "in_role": place.group, "default_ttl": ttl}
        return playbook({
            "name": "sync",
            "leasehold.vault.database_sync": {"mount": place.mount, "roles": [*roles, kept], "prune": ["roles"]},
        })  # fmt: skip

    with Issuing(place, busy, place.bao, CLIENTS) as issuing:
        assert play(synchronisation(ROLES, 3600)).changes == 1
        issuing.wait_for_more(CLIENTS)
        assert play(synchronisation(ROLES, 7200)).changes == 1
        issuing.wait_for_more(CLIENTS)
    assert (issuing.errors, issuing.warnings) == ([], [])
    assert len(place.users(busy)) == len(place.leases(busy)) == len({user["username"] for user in issuing.known})
    assert play(synchronisation(ROLES, 7200)).changes == 0
    assert len(place.bao.request("LIST", f"{place.mount}/roles")["data"]["keys"]) == ROLES + 1
    client = session(place)
    at_once(lambda user: client.ask("put", "sys/leases/revoke", {"lease_id": user["lease_id"]}), issuing.known)
    assert play(synchronisation(0, 7200)).changes == 1
