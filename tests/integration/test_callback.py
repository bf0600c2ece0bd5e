# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback: what was issued for a run only is given back, however the run ends."""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t

import pytest

from .conftest import CALLBACK, REVOCATION

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import servers

    from .conftest import Ground, Play, Run

LOOKUP = "lookup('leasehold.vault.database_credentials', '{role}', mount='end', revoke='{revoke}')"


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    return ground(postgres, "end")


@pytest.fixture
def play(play: Play) -> Play:
    play.inventory = ["h0", "h1"]
    play.environment["ANSIBLE_CALLBACKS_ENABLED"] = CALLBACK
    return play


def document(play: Play, role: str, then: str = "ansible.builtin.meta: noop", revoke: str = "at_end") -> str:
    """Issue one user for each host, note it, and do one thing more."""
    me = LOOKUP.format(role=role, revoke=revoke)
    return f"""
- hosts: all
  gather_facts: false
  tasks:
    - name: issue
      ansible.builtin.debug:
        msg: "{{{{ ({me} | noted('{play.directory}/seen')).username }}}}"
    - {then}
"""


def seen(play: Play) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in (play.directory / "seen").read_text().splitlines()]


def assert_gone(play: Play, here: Ground, role: str, run: Run, count: int = 2) -> None:
    issued = seen(play)
    assert len(issued) == count
    assert here.users(role) == here.leases(role) == []
    assert not any(here.opens(one["username"], one["password"]) for one in issued)
    assert f"leasehold: revoked {count} lease(s) of end/creds/{role}" in run.output, run.output
    assert run.warnings == []


def test_after_success(play: Play, here: Ground) -> None:
    run = play(document(play, here.role("success")))
    assert_gone(play, here, "success", run)
    # Several playbooks are one run; it is not over after the first.
    two = play.write("two.yml", document(play, "success"))
    (play.directory / "seen").unlink()
    run = play(document(play, "success"), two)
    assert len({one["username"] for one in seen(play)}) == 2
    assert run.output.count("leasehold: revoked") == 1
    assert here.users("success") == []


def test_after_a_failed_task(play: Play, here: Ground) -> None:
    run = play(document(play, here.role("failed"), "ansible.builtin.fail:"), ok=False)
    assert run.code == 2
    assert_gone(play, here, "failed", run)


@pytest.mark.parametrize(
    "how", ["ctrl-c", "SIGTERM", *(pytest.param(how, marks=pytest.mark.full) for how in ("SIGINT", "SIGTERM to all"))]
)
def test_after_it_was_interrupted(play: Play, here: Ground, how: str) -> None:
    role = here.role({"ctrl-c": "ctrlc", "SIGINT": "sigint", "SIGTERM": "sigterm", "SIGTERM to all": "termall"}[how])
    started = play.start(document(play, role, "ansible.builtin.command: sleep 60"))
    started.wait_for(lambda: "TASK [ansible.builtin.command]" in started.log.read_text())
    assert len(here.users(role)) == 2
    began = time.monotonic()
    {
        "ctrl-c": lambda: started.signal_group(signal.SIGINT),
        "SIGINT": lambda: started.process.send_signal(signal.SIGINT),
        "SIGTERM": lambda: started.process.send_signal(signal.SIGTERM),
        "SIGTERM to all": lambda: started.signal_group(signal.SIGTERM),
    }[how]()
    run = started.finish()
    assert time.monotonic() - began < 50, "it was to end before the task does"
    assert run.code != 0
    assert_gone(play, here, role, run)


@pytest.mark.full
def test_users_not_for_run_only_are_kept_under_login_of_run(play: Play, here: Ground) -> None:
    role = here.role("never")
    mark = here.mark()
    run = play(document(play, role, revoke="never"), env=here.approle("never", token_ttl="2h"))
    assert "leasehold: revoked" not in run.output
    assert here.asked(mark)["update auth/token/revoke-self"] == 0
    assert len(seen(play)) == 2
    assert all(here.opens(one["username"], one["password"]) for one in seen(play))
    # Beside one that goes, under the same login: only that one goes.
    play.write("stays.yml", document(play, role, revoke="never"))
    (play.directory / "seen").unlink()
    run = play(
        document(play, here.role("goes")), str(play.directory / "stays.yml"), env=here.approle("never", token_ttl="2h")
    )
    goes, stays = seen(play)[:2], seen(play)[2:]
    assert len(goes) == len(stays) == 2
    assert not any(here.opens(one["username"], one["password"]) for one in goes)
    assert all(here.opens(one["username"], one["password"]) for one in stays)
    assert "revoked 2 lease(s) of end/creds/goes" in run.output


def test_what_a_module_issued_outlives_the_run(play: Play, here: Ground) -> None:
    """In the controller, where tasks share the login of the run, and as a module of its own."""
    role = here.role("module")
    issue = f"leasehold.vault.database_credentials: {{mount: end, role: {role}}}\n      register: issued"
    for where in (True, False):
        play(f"""
- hosts: all
  gather_facts: false
  tasks:
    - {issue}
    - ansible.builtin.debug:
        msg: "{{{{ (issued.credentials | noted('{play.directory}/seen')).username }}}}"
    - leasehold.vault.lease: {{lease_id: "{{{{ issued.credentials.lease_id }}}}", valid_for: 2m}}
""", "-e", json.dumps({"leasehold_run_in_controller": where}), env=here.approle("module", token_ttl="2h"))  # fmt: skip
    assert len(seen(play)) == 4
    assert all(here.opens(one["username"], one["password"]) for one in seen(play))


def test_the_login_of_the_run_ends_with_it(play: Play, here: Ground) -> None:
    role = here.role("login")
    mark = here.mark()
    run = play(document(play, role), env=here.approle("login", token_ttl="2h"))
    assert_gone(play, here, role, run)
    asked = here.asked(mark)
    assert asked["update auth/approle-end/login"] == asked["update auth/token/revoke-self"] == 1


def test_a_lease_that_cannot_be_revoked_is_named(play: Play, here: Ground) -> None:
    role = here.role("stuck", revocation_statements=["SELECT 1/0"])
    run = play(document(play, role))
    issued = seen(play)
    (warning,) = run.warned("leasehold: not revoked")
    assert all(one["lease_id"] in warning for one in issued)
    assert "division by zero" in warning
    assert "leasehold: revoked" not in run.output
    here.role("stuck", revocation_statements=[REVOCATION])
    for one in issued:
        here.bao.request("PUT", "sys/leases/revoke", {"lease_id": one["lease_id"]})
    assert here.users("stuck") == []


@pytest.fixture
def bao_stands_still(bao: servers.OpenBao) -> Iterator[Callable[[], None]]:
    """A server that neither answers nor refuses."""
    assert bao.pid is not None
    pid = bao.pid
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.full
def test_unresponsive_server_delays_end_up_to_timeout(
    play: Play, here: Ground, bao_stands_still: Callable[[], None]
) -> None:
    role = here.role("still")
    flag = play.directory / "go on"
    wait = f"ansible.builtin.wait_for: {{path: '{flag}', sleep: 1}}"
    started = play.start(document(play, role, wait), env={"LEASEHOLD_REVOKE_TIMEOUT": "3"})
    started.wait_for(lambda: "TASK [ansible.builtin.wait_for]" in started.log.read_text())
    bao_stands_still()
    flag.touch()
    run = started.finish(40)
    assert run.code == 0
    (warning,) = run.warned("leasehold: not revoked")
    assert all(one["lease_id"] in warning for one in seen(play))
    assert "timed out" in warning


@pytest.mark.full
def test_a_server_that_is_gone_is_said(play: Play, here: Ground) -> None:
    role = here.role("gone")
    flag = play.directory / "go on"
    wait = f"ansible.builtin.wait_for: {{path: '{flag}', sleep: 1}}"
    started = play.start(document(play, role, wait), env={"VAULT_ADDR": here.bao.url})
    started.wait_for(lambda: "TASK [ansible.builtin.wait_for]" in started.log.read_text())
    here.bao.halt()
    try:
        flag.touch()
        run = started.finish(40)
    finally:
        here.bao.start()
    (warning,) = run.warned("leasehold: not revoked", "could not be reached")
    assert all(one["lease_id"] in warning for one in seen(play))


def test_without_the_callback_it_is_said_once(play: Play, here: Ground) -> None:
    role = here.role("without")
    del play.environment["ANSIBLE_CALLBACKS_ENABLED"]
    again = LOOKUP.format(role=role, revoke="at_end")
    run = play(document(play, role, f'ansible.builtin.debug:\n        msg: "{{{{ {again}.username }}}}"'))
    assert len(run.warned("revoke=at_end", CALLBACK)) == 1
    assert len(run.warnings) == 1
    assert len(here.users(role)) == 2


@pytest.mark.full
def test_nothing_issued_nothing_said(play: Play, here: Ground) -> None:
    run = play("- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {msg: x}}]")
    assert "leasehold" not in run.output
    run = play(document(play, here.role("checked")), check=True)
    assert "leasehold" not in run.output
