# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program that unwraps a secret id on its host does when something else than Vault answers."""

from __future__ import annotations

import io
import json
import runpy
import signal
import threading

import pytest

from .conftest import ROOT, Stub

PROGRAM = ROOT / "roles" / "app_access" / "files" / "unwrap.py"


@pytest.fixture
def unwrap(monkeypatch, tmp_path, stub):
    def unwrap():
        order = {
            "url": stub.url, "ca_cert": "", "namespace": "", "token": "hvs.wrapping", "path": "auth/approle/role/app/secret-id",
            "secret_id": str(tmp_path / "secret_id"), "accessor": str(tmp_path / "accessor"), "owner": "", "group": "",
        }  # fmt: skip
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(order)))
        written = []
        with pytest.raises(SystemExit) as refused:
            runpy.run_path(
                str(PROGRAM), init_globals={"write_file": lambda path, content, order: written.append(content)}
            )
        assert written == ["", ""], "two looks, and nothing written"
        return str(refused.value)

    return unwrap


@pytest.mark.parametrize("status", [301, 302, 307])
def test_token_is_not_sent_where_a_redirect_leads(unwrap, stub, status):
    other = Stub()
    try:
        stub.answers = [
            (200, {"data": {"creation_path": "auth/approle/role/app/secret-id"}}),
            (status, {}, {"Location": f"{other.url}/v1/sys/wrapping/unwrap"}),
        ]
        assert f"Vault answered {status}" in unwrap()
        assert other.asked == []
    finally:
        other.stop()


@pytest.mark.parametrize(
    "answer", [(200, []), (200, {"data": None}), (200, b"<html>"), (200, b'{"data": "' + b"x" * (2 << 20))],
    ids=["list", "nothing", "no JSON", "endless"],
)  # fmt: skip
def test_answer_of_something_else_is_a_sentence(unwrap, stub, answer):
    stub.answers = [answer]
    assert "is no Vault" in unwrap()


def test_slow_answer_is_not_waited_for(unwrap, stub, monkeypatch):
    late = threading.Event()
    monkeypatch.setattr("signal.alarm", lambda seconds: signal.setitimer(signal.ITIMER_REAL, 0.05 if seconds else 0))
    stub.answers = [lambda: (late.wait(5), (200, {}))[1]]
    assert "no whole answer within" in unwrap()
    late.set()
