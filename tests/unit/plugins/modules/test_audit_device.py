# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml

from ...conftest import FakeWorld, RealWorld


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
def vault(request):
    """A server that takes audit devices over its API, as Vault does."""
    if request.param == "fake":
        yield FakeWorld()
        return
    import servers

    with servers.OpenBao(extra_config="unsafe_allow_api_audit_creation = true") as server:
        yield RealWorld(server, None)


@pytest.mark.both
def test_lifecycle_of_audit_device(vault, run, tmp_path):
    file = {"file_path": str(tmp_path / "audit.log"), "mode": "0600"}
    made = run.changes(
        "audit_device", mount=None, name="second", type="file", options=file, description="For the auditor"
    )
    assert made["diff"]["before"] == ""
    assert yaml.safe_load(made["diff"]["after"])["options"] == file
    assert made["audit_device"] == {
        "name": "second", "type": "file", "description": "For the auditor", "options": file, "local": False,
    }  # fmt: skip
    run.nothing("audit_device", mount=None, name="second/", options={**file, "mode": "0600"})
    run.nothing("audit_device", mount=None, name="second")

    sentence = run.refused("audit_device", mount=None, name="second", options={**file, "log_raw": True})
    assert "Delete the audit_device and create it again" in sentence

    # YAML reads 0640 without quotes as 416.
    sentence = run.refused("audit_device", mount=None, name="third", options={**file, "mode": 416})
    assert "in quotes" in sentence

    assert run.changes("audit_device", mount=None, name="second", state="absent")["audit_device"] == {}


@pytest.mark.parametrize(("mode", "warned"), [("0755", True), ("0641", True), ("0660", False), ("", False)])
def test_executable_log_mode_warns(fake_vault, run, mode, warned):
    options = {"file_path": "/var/log/audit.log", **({"mode": mode} if mode else {})}
    result = run("audit_device", mount=None, name="main", options=options)
    assert any("executable" in warning for warning in result["warnings"]) is warned


@pytest.mark.lacks("audit_over_api")
def test_openbao_without_api_audit_devices_fails_with_explanation(bao, tmp_path):
    import servers

    from ...conftest import Runner

    assert isinstance(bao, servers.OpenBao)
    run = Runner(RealWorld(bao, None))
    run.nothing(
        "audit_device", mount=None, name="main", type="file", options={"file_path": bao.audit_path.name, "mode": "0600"}
    )
    sentence = run.refused("audit_device", mount=None, name="other", options={"file_path": str(tmp_path / "x")})
    assert "config-based audit device management" in sentence
    assert "configuration-managed" in run.refused("audit_device", mount=None, name="main", state="absent")
