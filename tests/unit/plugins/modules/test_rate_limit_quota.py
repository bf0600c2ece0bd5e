# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client


@pytest.fixture
def quota(vault):
    """The options of a quota that only this test has, for the users of a role."""
    vault.add_mount()
    return {"mount": None, "name": f"{vault.mount}-app", "path": f"{vault.mount}/creds/app"}


@pytest.mark.both
def test_lifecycle_of_rate_limit_quota(vault, run, quota):
    made = run.changes("rate_limit_quota", **quota, rate=5, interval="1m", block_interval="5m")
    assert made["diff"]["before"] == ""
    shown = made["rate_limit_quota"]
    assert shown | {"inheritable": False} == {
        "name": quota["name"],
        "path": quota["path"],
        "role": "",
        "rate": 5.0,
        "interval": 60,
        "block_interval": 300,
        "inheritable": False,
    }
    run.nothing("rate_limit_quota", **quota, rate=5.0, interval=60, block_interval="300s")
    run.nothing("rate_limit_quota", mount=None, name=quota["name"])

    changed = run.changes("rate_limit_quota", mount=None, name=quota["name"], rate=0.5)["rate_limit_quota"]
    assert changed == {**shown, "rate": 0.5}, "a write replaces the quota, so what the task does not say is sent again"
    assert run.changes("rate_limit_quota", **quota, interval=0)["rate_limit_quota"]["interval"] == 1
    run.nothing("rate_limit_quota", **quota, interval="1s")

    assert run.changes("rate_limit_quota", mount=None, name=quota["name"], state="absent")["rate_limit_quota"] == {}
    run.nothing("rate_limit_quota", mount=None, name=quota["name"], state="absent")


def test_mount_path_ignores_trailing_slash(vault, run, quota):
    run.changes("rate_limit_quota", **{**quota, "path": vault.mount}, rate=5000)
    run.nothing("rate_limit_quota", **{**quota, "path": f"{vault.mount}/"}, rate=5000)
    run.changes("rate_limit_quota", **quota)


def test_change_made_elsewhere_is_reverted(vault, run, quota):
    run("rate_limit_quota", **quota, rate=5)
    vault.client.write(f"sys/quotas/rate-limit/{quota['name']}", {"rate": 500, "path": quota["path"]})
    assert "rate: 500" in run.changes("rate_limit_quota", **quota, rate=5)["diff"]["before"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "db/creds/app"}, "rate is needed"),
        ({"path": "db/creds/app", "rate": 0}, "rate is needed"),
        ({"path": "db/creds/app", "rate": -1}, "rate is needed"),
        ({"rate": 5}, "path is needed"),
        ({"rate": 5, "path": "db", "role": "app"}, "path must be an auth mount"),
        ({"rate": 5, "path": "db", "interval": "soon"}, "is not a duration"),
        ({"rate": 5, "path": "db", "name": "a/b"}, "cannot be a name"),
    ],
)
def test_value_misread_by_server_is_refused_before_any_request(fake_vault, run, check, options, words):
    assert words in run.refused("rate_limit_quota", **{"mount": None, "name": "app", **options}, check=check)


def test_second_quota_of_path_and_unknown_mount_show_server_error(real_vault, run):
    real_vault.add_mount()
    limit = {"mount": None, "rate": 5000}
    run("rate_limit_quota", name=f"{real_vault.mount}-a", path=real_vault.mount, **limit)
    assert "similar properties exists" in run.refused(
        "rate_limit_quota", name=f"{real_vault.mount}-b", path=real_vault.mount, **limit
    )
    assert "invalid mount path" in run.refused(
        "rate_limit_quota", name=f"{real_vault.mount}-c", path=f"{real_vault.mount}-none", **limit
    )


def test_quota_of_jwt_role_is_refused(fake_vault, run):
    """OpenBao 2.7.2 ended the connection: a nil pointer in the JWT method, which is asked for the role without a storage."""
    fake_vault.client.write("sys/auth/ci", {"type": "jwt"})
    limit = {"mount": None, "name": "app", "rate": 5}
    assert "path: auth/ci/login" in run.refused("rate_limit_quota", **limit, path="auth/ci", role="app")
    run.changes("rate_limit_quota", **limit, path="auth/ci/login")


def test_quota_limits_credentials_of_one_role_only(real_vault, run):
    real_vault.add_mount().add_connection().add_role().add_role("other")
    run(
        "rate_limit_quota",
        mount=None,
        name=f"{real_vault.mount}-a",
        path=f"{real_vault.mount}/creds/app",
        rate=2,
        interval="1h",
    )
    for _user in range(2):
        run("database_credentials", role="app", retries=0)
    assert "rate limit quota exceeded" in run.refused("database_credentials", role="app", retries=0)
    run("database_credentials", role="other", retries=0)


def test_quota_limits_logins_of_one_role_only(real_vault, run):
    mount, client = real_vault.mount, real_vault.client
    client.write(f"sys/auth/{mount}", {"type": "approle"})
    role_ids = {}
    for role in ("app", "other"):
        client.write(f"auth/{mount}/role/{role}", {"bind_secret_id": False, "token_bound_cidrs": "127.0.0.1/32"})
        role_ids[role] = client.read(f"auth/{mount}/role/{role}/role-id")["role_id"]
    run("rate_limit_quota", mount=None, name=f"{mount}-a", path=f"auth/{mount}", role="app", rate=2, interval="1h")
    anybody = Client(real_vault.server.url, verify=str(real_vault.server.ca_cert), retries=0)
    logins = ["app", "app", "app", "other"]
    answers = [anybody.send("post", f"/v1/auth/{mount}/login", {"role_id": role_ids[role]}).response for role in logins]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
