# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of three OpenBao nodes that loses its leader in the middle of runs, and what is asked of its standbys."""

from __future__ import annotations

import contextlib
import typing as t
import urllib.error
import warnings

import capabilities
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import issue
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from gate import Gate

from ..conftest import Ground, Play, as_yaml
from .issuing import Issuing

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..conftest import Values

ROLES = [f"role-{number:03}" for number in range(200)]
LEASES = 20
PATIENCE = {"VAULT_MAX_RETRIES": "30", "VAULT_CLIENT_TIMEOUT": "10s"}


class Cluster:
    def __init__(self, nodes: Sequence[servers.OpenBao]) -> None:
        self.nodes = nodes

    def leader_of(self, node: servers.OpenBao) -> str:
        try:
            return str(node.request("GET", "sys/leader", token="")["leader_address"])
        except OSError:
            return ""

    @property
    def leader(self) -> servers.OpenBao:
        return next(node for node in self.nodes if self.leader_of(node) == node.url)

    @property
    def standbys(self) -> list[servers.OpenBao]:
        return [node for node in self.nodes if node is not self.leader]

    def is_whole(self) -> bool:
        """All nodes follow one leader, have what it has, and may elect another: they join without a vote, and get it ten seconds later."""
        given = [node.request("GET", "sys/leader", token="") for node in self.nodes if node.pid is not None]
        known = {one["leader_address"] for one in given}
        if len(given) < len(self.nodes) or len(known) > 1 or "" in known:
            return False
        try:
            self.leader.request(
                "POST", "sys/policies/acl/after-all", {"policy": 'path "x" { capabilities = ["read"] }'}
            )
            for node in self.standbys:  # each lets itself be asked, and forwards
                node.request("GET", "sys/policies/acl/after-all")
        except urllib.error.HTTPError:
            return False
        members = self.leader.request("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        if not all(member["voter"] for member in members):
            return False
        applied = [int(node.request("GET", "sys/leader", token="")["raft_applied_index"]) for node in self.nodes]
        return max(applied) - min(applied) < 20

    def heal(self) -> None:
        for node in self.nodes:
            if node.pid is None:
                node.start()
        try:
            servers.wait_for("the cluster is whole", self.tried(self.is_whole), 120)
        except servers.ServerError:
            # Vault 1.20 beta: a leader that was frozen may call itself the leader for ever, beside the one that was elected.
            leaders = [node for node in self.nodes if self.leader_of(node) == node.url]
            if len(leaders) < 2:
                raise
            warnings.warn(f"{len(leaders)} nodes called themselves the leader and were started again", stacklevel=2)
            for node in leaders:
                node.restart()
            servers.wait_for("the cluster is whole", self.tried(self.is_whole), 120)

    @staticmethod
    def tried(what: Callable[[], t.Any]) -> Callable[[], bool]:
        def is_so() -> bool:
            with contextlib.suppress(OSError, StopIteration, KeyError):
                return bool(what())
            return False

        return is_so


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with servers.cluster(tls=False) as nodes:
        yield Cluster(nodes)


@pytest.fixture(scope="module")
def ground(cluster: Cluster, postgres: servers.PostgreSQL) -> Iterator[Ground]:
    cluster.heal()
    made = Ground(cluster.leader, postgres, "ha")
    # As the role postgresql_access sets them, only shorter: a node that is cut off holds its locks no longer than that.
    for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
        made.sql(f"ALTER ROLE {made.admin} SET {setting} = '3s'")
    yield made
    cluster.heal()
    made.bao = cluster.leader
    made.remove()


@pytest.fixture
def engine(ground: Ground, cluster: Cluster) -> Ground:
    """The cluster is whole; `engine.bao` is its leader."""
    cluster.heal()
    ground.bao = cluster.leader
    return ground


def playbook(*tasks: Values) -> str:
    return as_yaml([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}])


def synchronisation(engine: Ground, ttl: int) -> str:
    roles = [{"name": name, "db_name": "db", "in_role": engine.group, "default_ttl": ttl} for name in ROLES]
    return playbook({"name": "sync", "leasehold.vault.database_sync": {"mount": engine.mount, "roles": roles}})


def is_declared(engine: Ground, ttl: int) -> bool:
    return all(engine.read(f"roles/{name}")["default_ttl"] == ttl for name in ROLES)


def credentials(engine: Ground, role: str) -> str:
    """A user for each item, whose lease is then renewed."""
    result = {"mount": engine.mount, "scope": "none"}
    words = ", ".join(f"{key}={value!r}" for key, value in result.items())
    return playbook({
        "name": "credentials",
        "leasehold.vault.lease": {
            "lease_id": f"{{{{ lookup('leasehold.vault.database_credentials', '{role}', {words}).lease_id }}}}",
            "valid_for": "2h",
        },
        "loop": list(range(LEASES)),
    })  # fmt: skip


def killed(leader: servers.OpenBao) -> None:
    leader.kill()


def sealed(leader: servers.OpenBao) -> None:
    leader.seal()


def stepped_down(leader: servers.OpenBao) -> None:
    leader.request("PUT", "sys/step-down")


def frozen(leader: servers.OpenBao) -> None:
    leader.freeze()


EVENTS = [killed, sealed, stepped_down, frozen]


@pytest.mark.parametrize("event", [killed, *(pytest.param(event, marks=pytest.mark.full) for event in EVENTS[1:])])
def test_runs_go_on_when_the_leader_is(
    event: Callable[[servers.OpenBao], None], engine: Ground, cluster: Cluster, play: Play
) -> None:
    kind = event.__name__[:6]
    many, few = engine.role(f"{kind}-m"), engine.role(f"{kind}-f")
    play.bao, leader = cluster.standbys[0], engine.bao
    ttl = 3600 + EVENTS.index(event)  # so that there is something to do each time
    with Gate(play.bao) as to_roles, Gate(play.bao) as to_leases, Issuing(engine, many, play.bao) as issuing:
        to_roles.shut_after(60)
        to_leases.shut_after(15)
        roles = play.start(synchronisation(engine, ttl), env={**PATIENCE, **to_roles.environment})
        leases = play.start(credentials(engine, few), env={**PATIENCE, **to_leases.environment})
        roles.wait_for(to_roles.is_shut, 120)
        leases.wait_for(to_leases.is_shut, 120)
        event(leader)
        try:
            to_roles.open(send_away=False)
            to_leases.open(send_away=False)
            issuing.wait_for_more(20)
            ended = [roles.finish(200), leases.finish(200)]
        finally:
            if event is frozen:
                leader.thaw()
            elif event is sealed:
                leader.restart()
    cluster.heal()
    engine.bao = cluster.leader

    assert [run.code for run in ended] == [0, 0], ended[0].output + ended[1].output
    assert is_declared(engine, ttl)
    play.bao = cluster.standbys[0]
    assert play(synchronisation(engine, ttl)).changes == 0

    renewed = [item["result"]["lease"] for item in ended[1].of("credentials") if "lease" in item["result"]]
    assert len({lease["lease_id"] for lease in renewed}) == LEASES
    assert all(lease["expires_in"] > 3600 for lease in renewed)
    assert all(engine.opens(user["username"], user["password"]) for user in issuing.known[-20:])
    assert_all_are_known(engine, few, [lease["lease_id"] for lease in renewed], len(ended[1].warned("unknown whether")))
    assert_all_are_known(engine, many, [user["lease_id"] for user in issuing.known], issuing.doubts)


def assert_all_are_known(engine: Ground, role: str, known: Sequence[str], doubts: int) -> None:
    """No user, and no lease, is there that was not handed out, unless a warning or an error says that it may be."""
    assert len(set(known)) == len(known)
    leases, users = engine.leases(role), engine.users(role)
    print(f"{role}: {len(known)} known, {len(leases)} leases, {len(users)} users, {doubts} doubts")
    assert set(known) <= set(leases)
    assert len(leases) - len(known) <= doubts
    assert len(users) - len(known) <= doubts
    engine.bao.request("PUT", f"sys/leases/revoke-prefix/{engine.mount}/creds/{role}")
    assert engine.leases(role) == []


# -- standbys --------------------------------------------------------------------------------------------------------------


def session(node: servers.OpenBao) -> t.Any:
    """A client of its own, as each task has."""
    return log_in({"url": node.url, "token": node.token, "retries": 0}).client


@pytest.mark.full
def test_write_is_visible_through_standby_200_of_200(engine: Ground, cluster: Cluster) -> None:
    path = f"{engine.mount}/roles/{engine.role('seen')}"
    role = engine.read("roles/seen")
    late = 0
    for number in range(1000, 1200):
        writer = cluster.nodes[number % 3]
        behind = next(node for node in cluster.standbys if node is not writer)
        behind.freeze()  # it misses the write for a moment
        try:
            session(writer).write(path, {**role, "default_ttl": number})
        finally:
            behind.thaw()
        late += plainly(behind, path) != number
        for node in cluster.nodes:
            assert session(node).read(path)["default_ttl"] == number
    assert late or not capabilities.has(cluster.leader, "standby_reads"), "no standby was ever late: this shows nothing"


def plainly(node: servers.OpenBao, path: str) -> int:
    return int(node.request("GET", path)["data"]["default_ttl"])


def test_task_through_standby_sees_previous_write(engine: Ground, cluster: Cluster, play: Play) -> None:
    play.bao = cluster.standbys[0]
    run = play(playbook({
        "name": "write and look",
        "leasehold.vault.database_role": {
            "mount": engine.mount, "name": "drift", "db_name": "db", "in_role": engine.group,
            "default_ttl": "{{ 1000 + item // 2 }}",
        },
        "loop": list(range(20)),
    }))  # fmt: skip
    assert [item["result"]["changed"] for item in run.of("write and look")][:20] == [True, False] * 10


@pytest.mark.full
def test_issue_through_other_standby_sees_new_role(engine: Ground, cluster: Cluster) -> None:
    one, other = cluster.standbys
    role = engine.read(f"roles/{engine.role('pattern')}")
    for number in range(50):
        session(one).write(f"{engine.mount}/roles/instant-{number}", role)
        assert issue(session(other), engine.mount, f"instant-{number}").credentials["username"]
    assert len(engine.users("instant-")) == 50
    engine.bao.request("PUT", f"sys/leases/revoke-prefix/{engine.mount}/creds")
    assert engine.users("instant-") == []


# -- what the user sees ----------------------------------------------------------------------------------------------------


def refusal(play: Play, text: str, node: servers.OpenBao, task: str = "sync") -> str:
    """What a run says that has no patience, with this node for an address."""
    run = play(text, env={**node.environment, "VAULT_MAX_RETRIES": "1", "VAULT_CLIENT_TIMEOUT": "3s"}, ok=False)
    assert not run.ok
    given = run.result(task)["msg"]
    assert "\n" not in given
    return str(given)


@pytest.mark.full
def test_cluster_without_quorum_fails_and_next_run_succeeds(engine: Ground, cluster: Cluster, play: Play) -> None:
    text, leader = synchronisation(engine, 5000), engine.bao
    dead, mute = cluster.standbys
    dead.kill()
    given = refusal(play, text, dead)
    assert given.count(f"Vault at {dead.url} could not be reached: Connection refused.") == 1
    mute.freeze()
    try:
        assert refusal(play, text, mute).count(f"Vault at {mute.url} could not be reached: timed out.") == 1
        given = refusal(play, text, leader)  # it is alone, and cannot write
    finally:
        mute.thaw()
    assert any(words in given for words in ("no leader", "leadership lost", "timed out")), given
    assert "more: not tried, because" in given
    cluster.heal()
    leader = cluster.leader
    leader.seal()
    try:
        assert refusal(play, text, leader).count("answered 503: Vault is sealed. Unseal it first.") == 1
    finally:
        leader.restart()
    cluster.heal()
    engine.bao = cluster.leader
    assert play(text, env=engine.bao.environment).ok
    assert is_declared(engine, 5000)
