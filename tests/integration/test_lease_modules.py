# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules lease and lease_info in plays."""

from __future__ import annotations

import json
import typing as t

import pytest

from .conftest import REVOCATION, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play, Run


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    return ground(postgres, "leases")


def lease(name: str, module: str = "lease", **options: t.Any) -> dict[str, t.Any]:
    """A task that may fail; what it did is looked at afterwards."""
    return {"name": name, f"leasehold.vault.{module}": options, "ignore_errors": True}


def tasks(*listed: dict[str, t.Any]) -> str:
    return as_yaml([{"hosts": "all", "gather_facts": False, "tasks": list(listed)}])


def outcomes(run: Run) -> dict[str, str]:
    """`ok`, `changed` or `failed` for each task."""
    return {
        event["task"]: "changed" if event["status"] == "ok" and event["result"]["changed"] else event["status"]
        for event in run.results
    }


def test_lease_is_renewed_until_max_ttl_and_revoked_once(play: Play, here: Ground) -> None:
    here.role("kept", 100, 1000)
    one = here.issue("kept")
    known = {"lease_id": one["lease_id"]}
    unknown = {"lease_id": "leases/creds/kept/never-was"}
    mark = here.mark()
    foreseen = play(tasks(lease("longer", **known, valid_for="5m"), lease("gone", **known, state="absent")), check=True)
    assert outcomes(foreseen) == {"longer": "changed", "gone": "changed"}
    assert not [
        path for path in here.asked(mark) if path.startswith(("update sys/leases/renew", "update sys/leases/revoke"))
    ]
    run = play(
        tasks(
            lease("enough", **known, valid_for=60),
            lease("longer", **known, valid_for="5m"),
            lease("as long", **known, valid_for="4m"),
            lease("too long", **known, valid_for="1h"),
            lease("gone", **known, state="absent"),
            lease("gone again", **known, state="absent"),
            lease("too late", **known, valid_for=1),
            lease("never was", **unknown, state="absent"),
            lease("not known", **unknown, valid_for=1),
            lease("bad", lease_id="../x", state="absent"),
        )
    )
    assert outcomes(run) == {
        "enough": "ok", "longer": "changed", "as long": "ok", "too long": "failed", "gone": "changed", "gone again": "ok",
        "too late": "failed", "never was": "ok", "not known": "failed", "bad": "failed",
    }  # fmt: skip
    assert run.result("longer")["lease"]["lease_duration"] == 300
    assert run.result("longer")["lease"]["expires_in"] == 300
    assert "3600 s are needed" in run.result("too long")["msg"]
    assert "max_ttl" in run.result("too long")["msg"]
    assert "Issue new credentials" in run.result("too late")["msg"]
    assert not here.opens(one["username"], one["password"])


@pytest.mark.full
def test_a_prefix_ends_with_counts_and_force_names_the_users_who_stay(play: Play, here: Ground) -> None:
    here.role("good")
    here.role("goods")  # begins alike, and is another role
    here.role("stuck", revocation_statements=['DROP ROLE "{{name}}"', "SELECT 1/0"])
    for role in ("good", "good", "good", "goods"):
        here.issue(role)
    stuck = here.issue("stuck")
    run = play(
        tasks(
            lease("good", prefix="leases/creds/good", state="absent"),
            lease("again", prefix="leases/creds/good", state="absent"),
            lease("stuck", prefix="leases/creds/stuck", state="absent"),
            lease("all", prefix="leases/creds", state="absent"),
            lease("forced", prefix="leases/creds/stuck", state="absent", force=True),
            lease("renew", prefix="leases/creds", state="present"),
        )
    )
    assert outcomes(run) == {
        "good": "changed", "again": "ok", "stuck": "failed", "all": "failed", "forced": "changed", "renew": "failed",
    }  # fmt: skip
    assert {name: run.result("good")[name] for name in ("revoked", "remaining")} == {"revoked": 3, "remaining": 0}
    assert stuck["lease_id"] in run.result("stuck")["msg"]
    assert "division by zero" in run.result("stuck")["msg"]
    # One that cannot be revoked does not keep the others alive.
    assert here.leases("goods") == []
    (warning,) = run.result("forced")["warnings"]
    assert stuck["lease_id"] in warning
    assert "stays in the database" in warning
    assert here.leases("stuck") == []
    assert here.users("stuck") == [stuck["username"]]
    here.sql(f'DROP ROLE "{stuck["username"]}"')


def test_lease_info_lists_leases_and_names_missing_right(play: Play, here: Ground) -> None:
    here.role("app")
    here.role("reports", "2h", "24h")
    here.role("broken", revocation_statements=["SELECT 1/0"], default_ttl="2s")
    here.issue("app")
    here.issue("app")
    reports, broken = here.issue("reports"), here.issue("broken")
    rule = 'path "{}" {{ capabilities = [{}] }}\n'
    some = rule.format("sys/leases/lookup", '"update"') + rule.format("sys/leases/lookup/*", '"list", "sudo"')
    info = lease("all", "lease_info", prefix="leases/creds")
    one = lease("one", "lease_info", prefix="leases/creds/reports")
    none = lease("none", "lease_info", prefix="leases/creds/nobody")
    # Vault tries to end the last one by itself, in vain; that it has given up is known after ten minutes only.
    overdue = "all.leases | selectattr('ttl', 'lt', 0) | length > 0"
    run = play(tasks({**info, "until": overdue, "retries": 30, "delay": 0.5, "register": "all"}, one, none))
    everything = run.of("all")[-1]["result"]
    assert everything["counts"] == {"app": 2, "broken": 1, "reports": 1}
    (current,) = run.result("one")["leases"]
    assert current["lease_id"] == reports["lease_id"]
    assert 7100 < current["ttl"] <= 7200
    assert current["role"] == "reports"
    assert (current["renewable"], current["irrevocable"], current["error"]) == (True, False, "")
    assert 0 <= current["age"] < 60
    assert current["issued_at"] < current["expires_at"]
    (late,) = [each for each in everything["leases"] if each["ttl"] < 0]
    assert (late["lease_id"], late["role"], late["renewable"]) == (broken["lease_id"], "broken", False)
    assert everything["irrevocable"] == 0
    assert run.result("none")["leases"] == []

    # Without the right to see irrevocable leases, the rest is told; without the other one, which right is missing.
    run = play(tasks(info), env=here.approle("some", policy=some, token_ttl="1h"))
    assert len(run.result("all")["leases"]) == 4
    assert run.warned("sys/leases", "sudo")
    run = play(tasks(info), env=here.approle("nothing", policy=rule.format("x", '"read"'), token_ttl="1h"))
    assert outcomes(run) == {"all": "failed"}
    assert "sudo" in run.result("all")["msg"]
    assert "sys/leases/lookup/leases/creds" in run.result("all")["msg"]
    here.role("broken", revocation_statements=[REVOCATION])
    here.bao.request("PUT", "sys/leases/revoke", {"lease_id": broken["lease_id"]})


@pytest.mark.full
def test_lease_ends_with_token(play: Play, here: Ground) -> None:
    here.role("short", 600, 6000)
    login = here.approle("short", token_ttl=100, token_max_ttl=100)
    issue = {
        "name": "issue",
        "leasehold.vault.database_credentials": {"mount": "leases", "role": "short"},
        "register": "issued",
    }
    known = {"lease_id": "{{ issued.credentials.lease_id }}"}
    where = json.dumps({"leasehold_run_in_controller": False})
    run = play(tasks(issue, lease("long", **known, valid_for=300)), "-e", where, env=login)
    assert run.result("issue")["credentials"]["lease_duration"] == 600
    assert run.result("issue")["credentials"]["expires_in"] <= 100
    assert run.warned("600 s", "token_period")
