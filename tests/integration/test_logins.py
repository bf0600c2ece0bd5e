# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No login of a run outlives it, unless a user that shall live on depends on it."""

from __future__ import annotations

import contextlib
import json
import signal
import typing as t
import urllib.error

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play

ISSUED = "leasehold.vault.database_credentials: {mount: logins, role: app}"
REVOKED = "leasehold.vault.lease: {lease_id: '{{ issued.credentials.lease_id }}', state: absent}"
READ = "leasehold.vault.database_role_info: {mount: logins, name: app}"
STATIC = "ansible.builtin.debug: {msg: \"{{ lookup('leasehold.vault.database_static_credentials', 'nobody', mount='logins') }}\"}"
DYNAMIC = (
    "ansible.builtin.debug: {msg: \"{{ lookup('leasehold.vault.database_credentials', 'nobody', mount='logins') }}\"}"
)


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "logins")
    made.role("app")
    return made


def logins(here: Ground) -> set[str]:
    """The accessors of the tokens that logins by AppRole made."""
    found = set()
    for accessor in here.bao.request("LIST", "auth/token/accessors")["data"]["keys"]:
        with contextlib.suppress(urllib.error.HTTPError):
            token = here.bao.request("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
            found |= {accessor} if token["path"] == "auth/approle-logins/login" else set()
    return found


def document(*tasks: str) -> str:
    return json.dumps([{"hosts": "all", "gather_facts": False, "tasks": "TASKS"}]).replace(
        '"TASKS"', "[" + ", ".join("{" + task + "}" for task in tasks) + "]"
    )


@pytest.mark.parametrize(
    ("tasks", "in_controller"),
    [
        ([f"{ISSUED}, register: issued", REVOKED], True),
        ([f"{READ}"], True),
        ([f"{READ}"], False),
        ([f"{READ.replace('app', 'nobody')}, ignore_errors: true"], True),
        ([f"{READ.replace('app', 'nobody')}, ignore_errors: true"], False),
        ([f"{STATIC}, ignore_errors: true", f"{DYNAMIC}, ignore_errors: true"], True),
    ],
    ids=["issued and revoked", "read", "read as module", "failed", "failed as module", "lookups that fail"],
)
def test_run_leaves_no_login(play: Play, here: Ground, tasks: list[str], in_controller: bool) -> None:
    before, mark = logins(here), here.mark()
    play(document(*tasks), "-e", json.dumps({"leasehold_run_in_controller": in_controller}), env=here.approle("one"))
    assert here.asked(mark)["update auth/approle-logins/login"] >= 1
    assert logins(here) == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_no_login(play: Play, here: Ground, how: signal.Signals) -> None:
    """The callback is not enabled."""
    before = logins(here)
    started = play.start(document(READ, "ansible.builtin.command: sleep 60"), env=here.approle("one"))
    started.wait_for(lambda: "TASK [ansible.builtin.command]" in started.log.read_text())
    assert len(logins(here)) == len(before) + 1
    started.process.send_signal(how)
    started.finish()
    assert logins(here) == before


@pytest.mark.parametrize(
    ("how", "login"), [(signal.SIGTERM, "approle"), pytest.param(signal.SIGINT, "token", marks=pytest.mark.full)]
)
def test_user_of_interrupted_verification_ends_with_the_run(
    play: Play, here: Ground, how: signal.Signals, login: str
) -> None:
    """A user that one of our own roles issues to try it, and could not revoke any more."""
    before, users = logins(here), here.users("app")
    issue = f"{ISSUED}, no_log: true, vars: {{__leasehold_ends_with_run: true}}"
    started = play.start(
        document(issue, "ansible.builtin.command: sleep 60"), env=here.approle("one") if login == "approle" else {}
    )
    started.wait_for(lambda: "TASK [ansible.builtin.command]" in started.log.read_text())
    assert len(here.users("app")) == len(users) + 1
    started.process.send_signal(how)
    started.finish()
    assert (logins(here), here.users("app"), here.leases("app")) == (before, users, [])


@pytest.mark.full
@pytest.mark.parametrize("playbook", ["verify", "rotate_root", "heartbeat", "report", "clean_orphans"])
def test_playbook_leaves_no_login(play: Play, here: Ground, playbook: str) -> None:
    server = here.server
    role = {"in_role": here.group, "default_ttl": "1h"}
    database = {
        "name": "db", "host": server.host, "port": server.port, "database": here.database, "sslmode": "disable",
        "admin": {"username": here.admin}, "owner": "postgres", "groups": {here.group: {"schemas": ["public"], "tables": ["select"]}},
        "roles": {"app": role},
    }  # fmt: skip
    document = {
        "vault_database_mount": here.mount, "vault_databases": [database], "lease_monitoring_heartbeat_role": "app",
        "leasehold_orphans_role": "app", "lease_report_drift": False,
    }  # fmt: skip
    before, mark = logins(here), here.mark()
    play(f"leasehold.vault.{playbook}", "-e", json.dumps(document), env=here.approle("one"))
    assert here.asked(mark)["update auth/approle-logins/login"] >= 1
    assert (logins(here), here.leases("app")) == (before, [])


@pytest.mark.parametrize("in_controller", [True, False])
def test_debug_shows_no_password_that_a_warning_does_not_name(play: Play, here: Ground, in_controller: bool) -> None:
    note = f"ansible.builtin.copy: {{content: '{{{{ issued.credentials.password }}}}', dest: '{play.directory}/password'}}, no_log: true"
    run = play(
        document(f"{ISSUED}, register: issued, no_log: true", note),
        "-e", json.dumps({"leasehold_run_in_controller": in_controller}), env={"ANSIBLE_DEBUG": "1"},
    )  # fmt: skip
    password = (play.directory / "password").read_text()
    assert (password in run.output) == bool(run.warned("ANSIBLE_DEBUG prints")) == (not in_controller)


def test_debug_shows_no_password_of_a_lookup(play: Play, here: Ground) -> None:
    lookup = "lookup('leasehold.vault.database_credentials', 'app', mount='logins').password"
    note = f"ansible.builtin.copy: {{content: \"{{{{ {lookup} }}}}\", dest: '{play.directory}/password'}}, no_log: true"
    run = play(document(note), env={"ANSIBLE_DEBUG": "1"})
    assert (play.directory / "password").read_text() not in run.output


def test_issuing_in_the_background_is_warned_of(play: Play, here: Ground) -> None:
    run = play(document(f"{ISSUED}, async: 60, poll: 1, no_log: true"))
    assert run.warned("~/.ansible_async", "async_status")
