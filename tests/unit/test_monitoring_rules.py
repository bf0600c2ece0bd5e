# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert asks for series that the server shows, or is not installed for it: rules and `tests/metrics`, compared."""

from __future__ import annotations

import re

import pytest
import yaml

from .conftest import ROOT

ROLE = ROOT / "roles" / "lease_monitoring"
RULES = (ROLE / "templates" / "rules.yml.j2").read_text(encoding="utf-8")
UNSEEN = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__lease_monitoring_unseen"]
SERVERS = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / "tests" / "metrics").glob("*.yml"))
}
COUNTED = {
    "VaultIssueFails": "statements_fail", "VaultRevocationFails": "statements_fail", "VaultPasswordChangeFails": "statements_fail",
    "VaultAuditFails": "every_audit_device_fails", "VaultAuditDeviceFails": "one_audit_device_of_two_fails",
}  # fmt: skip

each_server = pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)


def records():
    """The recorded rules, and of which series each is made."""
    made = {"leasehold:unsealed": "vault_core_unsealed", "leasehold:active": "vault_core_active"}
    made["leasehold:issue:rate"] = "vault_secret_lease_creation"
    for name, counters in re.findall(r"\('(\w+_failures)', \[([^\]]*)\]\)", RULES):
        made[f"leasehold:{name}:increase"] = " ".join(f"vault_{counter}" for counter in re.findall(r"\w+", counters))
    return made


def alerts():
    """The series of Vault that each alert asks for."""
    found = {}
    for name, expression in re.findall(r"call alert\('(\w+)'.*?-%\}(.*?)\{%- endcall", RULES, re.DOTALL):
        for record, series in records().items():
            expression = expression.replace(record, series)
        found[name] = set(re.findall(r"vault_\w+", expression))
        assert "leasehold:" not in expression
    return found


def numbers(version):
    return [int(number) for number in re.match(r"[\d.]+", version)[0].split(".")]


def not_installed(server):
    return {
        one["alert"] for one in UNSEEN
        if one["server"] == server["server"] and numbers(one["since"]) <= numbers(server["version"]) < numbers(one["before"])
    }  # fmt: skip


def test_servers_that_are_supported_are_recorded():
    assert {server["server"] for server in SERVERS.values()} == {"openbao", "vault"}
    assert len(alerts()) == RULES.count("call alert(")
    assert sum(bool(series) for series in alerts().values()) >= 10


@each_server
def test_alert_that_is_installed_asks_for_series_that_server_shows(server):
    shown = set(server["series"])
    for name, series in alerts().items():
        if name not in not_installed(server):
            assert series <= shown, name


@each_server
def test_alert_that_is_not_installed_would_never_fire(server):
    assert not_installed(server) <= set(alerts())
    for name in not_installed(server):
        assert not alerts()[name] & set(server["series"]), name


@each_server
def test_counter_of_alert_rises_when_it_should(server):
    for name, what in COUNTED.items():
        if name not in not_installed(server):
            assert alerts()[name] & set(server["counted"][what]), name
