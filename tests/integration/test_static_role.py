# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static roles in plays, on PostgreSQL 15 and 18."""

from __future__ import annotations

import typing as t

import pytest

from .conftest import as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Ground, Play


@pytest.fixture(scope="module", params=[pytest.param("postgres15", marks=pytest.mark.full), "postgres"])
def here(request: pytest.FixtureRequest, ground: Callable[..., Ground]) -> Ground:
    server = request.getfixturevalue(request.param)
    return ground(server, f"static{server.major}")


def test_lifecycle_of_static_role(play: Play, here: Ground) -> None:
    user = here.user(f"{here.mount}_reports")
    assert here.opens(user, "first")

    def task(title: str, module: str = "database_static_role", **options: t.Any) -> dict[str, t.Any]:
        return {"name": title, f"leasehold.vault.{module}": {"mount": here.mount, **options}, "ignore_errors": True}

    desired = {"name": "reports", "db_name": "db", "username": user, "rotation_period": "24h"}
    made, info = task("made", **desired), task("info", "database_static_role_info")
    rotation = "database_static_role_rotation"
    read = {**task("read", "database_credentials", static_role="reports"), "register": "read"}

    def steps(*listed: dict[str, t.Any]) -> str:
        return as_yaml([{"hosts": "all", "gather_facts": False, "tasks": list(listed)}])

    foreseen = play(steps(made), check=True)
    assert foreseen.result("made")["changed"]
    assert "rotated at once" in foreseen.result("made")["diff"]["after"]
    assert foreseen.warned("rotates the password", user)
    assert here.opens(user, "first"), "a check run is to touch nothing"

    login = f"read.credentials | logs_in({here.server.port}, '{here.database}')"
    run = play(
        steps(
            made,
            task("again", **desired),
            task("not mentioned", name="reports"),
            read,
            {"name": "opens", "ansible.builtin.debug": {"msg": f"{{{{ {login} }}}}"}},
            task("other period", **{**desired, "rotation_period": "48h"}),
            info,
            task("other user", **{**desired, "username": "somebody_else"}),
            task("too often", **{**desired, "rotation_period": 2}),
            task("not old", rotation, name="reports", older_than="30d"),
            task("old", rotation, name="reports", older_than="0s"),
            {**task("now", rotation, name="reports")},
            {**task("would", rotation, name="reports"), "check_mode": True},
            task("nobody", rotation, name="nobody"),
            task("absent", name="reports", state="absent"),
            task("absent again", name="reports", state="absent"),
        )
    )
    expected = {
        "made": "changed", "again": "ok", "not mentioned": "ok", "read": "ok", "opens": "ok", "other period": "changed", "info": "ok",
        "other user": "failed", "too often": "failed", "not old": "ok", "old": "changed", "now": "changed",
        "would": "changed", "nobody": "failed", "absent": "changed", "absent again": "ok",
    }  # fmt: skip
    assert {
        event["task"]: "changed" if event["status"] == "ok" and event["result"].get("changed") else event["status"]
        for event in run.results
    } == expected
    assert not here.opens(user, "first"), "making it rotates at once"
    assert run.messages("opens") == [user]
    (current,) = run.result("info")["static_roles"]
    assert (current["name"], current["username"], current["rotation_period"]) == ("reports", user, 172800)
    assert current["last_vault_rotation"]
    assert "username" in run.result("other user")["msg"]
    assert "too short" in run.result("too often")["msg"]
    assert run.result("now")["static_role"]["last_vault_rotation"] > current["last_vault_rotation"]
    password = run.result("read")["credentials"]["password"]
    assert not here.opens(user, password), "three rotations ago"
    assert here.sql("SELECT FROM pg_roles WHERE rolname = %s", values=[user]), "the user is to stay"
