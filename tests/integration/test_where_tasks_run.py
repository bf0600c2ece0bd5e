# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task runs in the controller's worker or as a module; nobody can tell from what it answers."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play, Run

HERE, MODULE = "true", "false"


@pytest.fixture(scope="module")
def place(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "place")
    made.role("app")
    return made


def story(place: Ground) -> str:
    """Success, change, nothing, failure of each kind, secrets, and the keywords that touch how a task runs."""
    return f"""
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/leasehold.vault.vault: {{mount: {place.mount}, retries: 0}}
  tasks:
    - name: would create
      leasehold.vault.database_role: &role {{name: made, db_name: db, in_role: {place.group}, default_ttl: 1h}}
      check_mode: true
    - {{name: create, leasehold.vault.database_role: *role}}
    - {{name: again, leasehold.vault.database_role: *role}}
    - name: loop
      leasehold.vault.database_role_info: {{name: "{{{{ item }}}}"}}
      loop: [app, made]
    - name: delegate
      leasehold.vault.database_role_info: {{name: app}}
      delegate_to: localhost
      run_once: true
    - name: until
      leasehold.vault.database_role_info: {{name: app}}
      register: found
      until: found.roles | length == 1
      retries: 2
      delay: 0
      throttle: 1
    - name: unsupported
      leasehold.vault.database_role: {{name: app, nonsense: true}}
      ignore_errors: true
    - name: missing
      leasehold.vault.database_role: {{}}
      ignore_errors: true
    - name: bad name
      leasehold.vault.database_role: {{name: a b}}
      ignore_errors: true
    - name: not there
      leasehold.vault.database_role_info: {{name: nosuch, must_exist: true}}
      ignore_errors: true
    - name: warned
      leasehold.vault.database_role: {{name: made, set_role: true, in_role: {place.group}}}
    - name: a secret
      leasehold.vault.database_connection:
        name: wrong
        connection_url: !unsafe "postgresql://{{{{username}}}}:{{{{password}}}}@{place.server.host}:{place.server.port}/{place.database}"
        username: {place.admin}_of_nobody
        password: sesame-0pen
      ignore_errors: true
    - name: quiet
      leasehold.vault.database_credentials: {{role: app}}
      no_log: true
      check_mode: true
    - name: delete
      leasehold.vault.database_role: {{name: made, state: absent}}
"""


def results_of(run: Run) -> list[t.Any]:
    """What every task answered, without what differs from run to run."""
    return [
        (
            event["task"],
            event["status"],
            {k: v for k, v in event["result"].items() if k not in ("invocation", "_ansible_no_log", "warnings")},
        )
        for event in run.results
    ]


def test_controller_and_module_give_same_masked_results(place: Ground, play: Play) -> None:
    runs = {
        way: play(story(place), "-vvv", "--diff", "-e", f"leasehold_run_in_controller={way}") for way in (HERE, MODULE)
    }
    assert results_of(runs[HERE]) == results_of(runs[MODULE])
    for run in runs.values():
        assert run.warned("set_role")
        assert "sesame-0pen" not in run.output


@pytest.mark.full
def test_unusual_task_runs_as_module(place: Ground, play: Play) -> None:
    """A module's process shows in verbose output; the worker's own work does not."""

    def starts_a_process(keywords: str = "", *arguments: str) -> bool:
        text = f"""
        - hosts: localhost
          gather_facts: false
          tasks:
            - leasehold.vault.database_role_info: {{mount: {place.mount}}}
              {keywords}
        """
        return "ESTABLISH LOCAL CONNECTION" in play(text, "-vvv", *arguments).output

    assert not starts_a_process()
    assert starts_a_process("environment: {A_VARIABLE: x}")
    assert starts_a_process("async: 60")
    assert starts_a_process("", "-e", "leasehold_run_in_controller=false")


def test_run_logs_in_once_and_logs_out(place: Ground, play: Play) -> None:
    login = place.approle("tasks", token_ttl="1h")
    since = place.mark()
    text = f"""
    - hosts: localhost
      gather_facts: false
      tasks:
        - leasehold.vault.database_role_info: {{mount: {place.mount}}}
          loop: [1, 2, 3]
        - leasehold.vault.database_connection_info: {{mount: {place.mount}}}
    """
    play(text, env=login)
    asked = place.asked(since)
    assert asked[f"update auth/approle-{place.mount}/login"] == 1
    assert asked["update auth/token/revoke-self"] == 1
