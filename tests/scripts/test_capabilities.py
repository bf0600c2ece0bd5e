# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import capabilities
import pytest
import servers

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", capabilities.CAPABILITIES)
def test_the_list_says_what_the_server_says(name, bao):
    assert capabilities.has(bao, name) != capabilities.may_lack(bao.program, name)
    assert capabilities.PROBE not in str(bao.request("GET", "sys/mounts"))
    assert capabilities.PROBE not in str(bao.request("GET", "sys/audit"))


def test_the_list_names_known_capabilities():
    assert set(capabilities.listed()) <= set(capabilities.CAPABILITIES)


@pytest.mark.parametrize(
    ("product", "version", "listed", "may_lack"),
    [
        ("Vault", "1.16.0", "vault", True),
        ("OpenBao", "2.7.2", "vault", False),
        ("Vault", "1.13.0", "vault <1.14", True),
        ("Vault", "1.14.0", "vault <1.14", False),
        ("Vault", "1.9.0", "vault <1.14", True),
        ("Vault", "1.20.0-beta1", "vault >=1.20", True),
        ("Vault", "1.19.3+ent", "vault >=1.20", False),
        ("OpenBao", "2.7", "openbao >=2.6 <2.7", False),
        ("OpenBao", "2.6.1", "openbao >=2.6 <2.7", True),
    ],
)
def test_a_server_is_listed_by_product_and_version(product, version, listed, may_lack, monkeypatch):
    monkeypatch.setattr(capabilities, "listed", lambda: {"x": [listed]})
    assert capabilities.may_lack(servers.Program(Path("/x"), product, version), "x") == may_lack


@pytest.mark.parametrize(
    ("listed", "code", "output", "counted"),
    [
        ("{}", 1, "no such luck; tests/skips.yml does not list this", 0),
        ("{'': ['openbao', 'vault']}", 0, "2 skipped", 2),
    ],
)
def test_a_skip_is_counted_if_it_is_listed_and_fails_if_not(pytester, monkeypatch, listed, code, output, counted):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("LEASEHOLD_RECORD", str(pytester.path / "record"))
    pytester.makepyfile(f"""
        import capabilities, pytest
        capabilities.listed = lambda: {listed}

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number):
            pytest.skip("no such luck")
    """)
    done = pytester.runpytest_subprocess("-p", "conftest")
    assert done.ret == code
    assert output in done.stdout.str()
    entries = map(json.loads, (pytester.path / "record").read_text().splitlines())
    assert [entry["reason"] for entry in entries if entry.get("outcome") == "skipped"] == ["no such luck"] * counted


@pytest.mark.parametrize(
    ("program", "answer", "sentence"),
    [
        ("/nowhere/vault", None, "LEASEHOLD_VAULT is '/nowhere/vault', and there is no such program"),
        ("", "echo Terraform v1.9; exit 0", "which is neither `vault` nor `bao`: "),
        ("", "echo Vault v1.20.3+ent, built today", "program: Vault 1.20.3+ent."),
        ("", "echo 'OpenBao v2.6.1 (abc), built today'", "program: OpenBao 2.6.1."),
    ],
)
def test_the_program_is_what_it_says_it_is(program, answer, sentence, tmp_path, monkeypatch):
    if answer:
        script = tmp_path / "program"
        script.write_text(f"#!/bin/sh\n{answer}\n")
        script.chmod(0o755)
    monkeypatch.setenv("LEASEHOLD_VAULT", program or str(script))
    find = servers.program.__wrapped__
    try:
        given = f"program: {find()}."
    except servers.ServerError as error:
        given = str(error)
        assert "\n" not in given
    assert sentence in given


def test_without_the_variable_it_is_the_pinned_openbao(monkeypatch):
    monkeypatch.delenv("LEASEHOLD_VAULT", raising=False)
    found = servers.program.__wrapped__()
    assert (found.product, found.name, found.path) == ("OpenBao", "bao", servers.openbao_binary())
