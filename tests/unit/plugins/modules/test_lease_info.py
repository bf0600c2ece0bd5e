# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import servers


def shown(run, vault, check=False, prefix="creds"):
    return run("lease_info", check=check, mount=None, prefix=f"{vault.mount}/{prefix}")


def test_leases_are_listed_with_count_by_role(real_vault, run):
    real_vault.add_mount().add_connection().add_role("app", default_ttl="1h").add_role("other")
    assert shown(run, real_vault)["leases"] == []
    ids = {real_vault.issue(role)["lease_id"] for role in ("app", "app", "other")}
    for check in (True, False):
        found = shown(run, real_vault, check=check)
        assert found["changed"] is False
        assert {lease["lease_id"] for lease in found["leases"]} == ids
        assert found["counts"] == {"app": 2, "other": 1}
        assert found["irrevocable"] == 0
    app = shown(run, real_vault, prefix="creds/app")["leases"]
    assert {lease["role"] for lease in app} == {"app"}
    assert all(3500 < lease["ttl"] <= 3600 and lease["renewable"] for lease in app)


def test_irrevocable_lease_is_listed_and_not_renewable(real_vault, run):
    real_vault.add_mount().add_connection()
    real_vault.add_role(revocation_statements=["SELECT no_such_function()"], default_ttl="1s")
    lease_id = real_vault.issue("app")["lease_id"]
    servers.wait_for("the end of the lease", lambda: not shown(run, real_vault)["leases"][0]["renewable"])
    (lease,) = shown(run, real_vault)["leases"]
    assert lease["lease_id"] == lease_id
    assert lease["ttl"] <= 0


def test_invalid_input_is_refused(real_vault, run):
    assert "is not a lease" in run.refused("lease_info", mount=None, prefix="../sys")
