# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.fixture
def quota(vault):
    return {"name": f"{vault.add_mount().mount}-app", "path": vault.mount}


@pytest.mark.both
def test_quota_is_shown_and_reapplies_without_change(vault, run, quota):
    made = run("rate_limit_quota", mount=None, **quota, rate=5000)["rate_limit_quota"]
    for check in (True, False):
        shown = run("rate_limit_quota_info", check=check, mount=None, name=quota["name"])
        assert shown == {"changed": False, "rate_limit_quotas": [made], "warnings": []}
    given = {option: value for option, value in made.items() if option != "inheritable"}
    run.nothing("rate_limit_quota", mount=None, **given)


def test_without_name_all_are_listed(vault, run, quota):
    def shown():
        return {found["name"]: found for found in run("rate_limit_quota_info", mount=None)["rate_limit_quotas"]}

    assert quota["name"] not in shown()
    vault.client.write(f"sys/quotas/rate-limit/{quota['name']}", {"rate": 5000, "path": vault.mount})
    assert shown()[quota["name"]]["rate"] == 5000.0


def test_missing_quota_is_empty_list_or_error_with_must_exist(vault, run, quota):
    assert run("rate_limit_quota_info", mount=None, name=quota["name"])["rate_limit_quotas"] == []
    sentence = run.refused("rate_limit_quota_info", mount=None, name=quota["name"], must_exist=True)
    assert f"There is no rate_limit_quota sys/quotas/rate-limit/{quota['name']}" in sentence
