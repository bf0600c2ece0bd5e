# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import servers


@pytest.mark.both
def test_mount_is_shown_with_configuration_and_reapplies_without_change(vault, run):
    certificate = servers.Authority("cluster").certificate.decode()
    desired = {"type": "kubernetes", "kubernetes_host": "https://x", "kubernetes_ca_cert": certificate}
    made = run("auth_mount", **desired)["auth_mount"]
    for check in (True, False):
        shown = run("auth_mount_info", check=check)
        assert shown == {"changed": False, "auth_mounts": [made], "warnings": []}
    given_back = {key: value for key, value in made.items() if key not in ("accessor", "token_reviewer_jwt_set")}
    run.nothing("auth_mount", **given_back)


def test_without_mount_all_supported_types_are_listed(vault, run):
    run("auth_mount", type="approle")
    shown = {one["mount"]: one["type"] for one in run("auth_mount_info", mount=None)["auth_mounts"]}
    assert shown[vault.mount] == "approle"
    assert "token" not in shown


def test_missing_mount_is_empty_list_or_error_with_must_exist(vault, run):
    assert run("auth_mount_info")["auth_mounts"] == []
    assert f"There is no auth mount {vault.mount}" in run.refused("auth_mount_info", must_exist=True)
