# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it; what it refuses is in test_safe_files.py."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS

from ...conftest import module_named


@pytest.fixture
def run(monkeypatch, capsys):
    def run(check=False, diff=True, **options):
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        if "inject_invocation" in PASS_VARS:
            arguments["_ansible_inject_invocation"] = True
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module_named("private_file").main()
        return json.loads(capsys.readouterr().out)

    return run


def test_file_is_predicted_written_and_shown(run, tmp_path):
    path = tmp_path / "file"
    foreseen = run(check=True, path=str(path), content="first\n", mode="0644")
    assert not path.exists()
    done = run(path=str(path), content="first\n", mode="0644")
    assert foreseen["changed"] is done["changed"] is True
    assert foreseen["diff"] == done["diff"]
    assert done["diff"][0] == {"before": "", "after": "first\n"}
    assert path.read_text() == "first\n"
    assert not run(path=str(path), content="first\n", mode="0644")["changed"]
    assert not run(path=str(path), content="first\n", mode=0o644)["changed"]
    assert run(path=str(path))["diff"] == [{"before": {"mode": "0644"}, "after": {"mode": "0600"}}]


@pytest.mark.parametrize("diff", [True, False])
@pytest.mark.parametrize("check", [True, False])
def test_other_content_alone_is_a_change(run, tmp_path, check, diff):
    path = tmp_path / "file"
    run(path=str(path), content="first\n")
    answer = run(check=check, diff=diff, path=str(path), content="second\n")
    assert answer["changed"]
    assert answer.get("diff") == ([{"before": "first\n", "after": "second\n"}] if diff else None)
    assert path.read_text() == ("first\n" if check else "second\n")


@pytest.mark.parametrize("owner", [None, "nobody-there"])
def test_content_is_shown_in_diff_only(run, tmp_path, monkeypatch, owner):
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, *message, **_more: logged.append(message))
    answer = run(diff=False, path=str(tmp_path / "file"), content="a-secret", owner=owner)
    assert "a-secret" not in f"{answer} {logged}"
    assert answer["invocation"]["module_args"]["path"] == str(tmp_path / "file")


def test_invalid_file_is_not_written(run, tmp_path):
    answer = run(
        path=str(tmp_path / "file"),
        content="first",
        validate="/bin/sh -c 'grep -q second %s || { echo bad rule >&2; false; }'",
    )
    assert answer["failed"]
    assert "bad rule" in answer["msg"]
    assert list(tmp_path.iterdir()) == []
    assert run(path=str(tmp_path / "file"), content="second", validate="grep -q second '%s'")["changed"]


def test_refusal_is_explained(run, tmp_path):
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert "symbolic link" in run(path=str(tmp_path / "link"), content="x")["msg"]
    assert "is not there" in run(path=str(tmp_path / "none"))["msg"]
    assert run(path=str(tmp_path / "directory"), state="directory")["changed"]
