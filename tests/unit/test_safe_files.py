# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a file is written on a host: not through a symbolic link, and not into a directory that others can write to."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pathlib
import pwd
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core import safe_files
from ansible_collections.leasehold.vault.plugins.module_utils._core.safe_files import make_directory, write_file


@pytest.fixture
def order():
    return {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": ""}


@pytest.fixture
def path(tmp_path):
    home = tmp_path / "billing"
    home.mkdir(mode=0o755)
    return home / "role_id"


def test_file_is_written_once_and_for_its_owner_only(path, order):
    assert write_file(path, "first", {**order, "check": True})
    assert not path.exists()
    assert write_file(path, "first", order)
    assert path.read_text() == "first"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert not write_file(path, "first", order)
    path.chmod(0o644)
    assert write_file(path, None, order)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.read_text() == "first"
    assert write_file(path, "second", order)
    assert [file.name for file in path.parent.iterdir()] == ["role_id"]


def test_file_of_another_mode_is_of_who_writes_it(path):
    assert write_file(path, "first", {"mode": "0640"})
    assert path.stat().st_mode & 0o7777 == 0o640
    assert not write_file(path, "first", {"mode": "0640"})


def test_check_of_a_directory_that_is_not_there_predicts_the_file(path, order):
    path.parent.rmdir()
    assert write_file(path, "first", {**order, "check": True})


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "directory"])
def test_nothing_is_written_through_a_link(path, order, tmp_path, kind):
    other = tmp_path / "shadow"
    other.write_text("theirs")
    {
        "symbolic link": lambda: path.symlink_to(other),
        "hard link": lambda: path.hardlink_to(other),
        "directory": path.mkdir,
    }[kind]()
    for content in ("ours", None):
        with pytest.raises(SystemExit, match="was not written"):
            write_file(path, content, order)
    assert other.read_text() == "theirs"


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_directory_that_others_can_write_is_refused(path, order, mode, monkeypatch):
    monkeypatch.setattr(safe_files, "_is_private", lambda _group, _trusted: False)
    path.parent.chmod(mode)
    with pytest.raises(SystemExit, match="others than root and the owner of the file"):
        write_file(path, "first", order)
    assert not path.exists()


@pytest.mark.parametrize(
    ("members", "primary", "private"),
    [([], ["me"], True), (["me"], [], True), (["me", "other"], [], False), (["me"], ["other"], False), ([], [], False)],
)
def test_group_is_private_if_all_its_users_are_trusted(members, primary, private, monkeypatch):
    uids = {"me": 1000, "other": 1001}
    users = [SimpleNamespace(pw_uid=uids[name], pw_gid=5000) for name in primary]
    fakes = {
        "grp": SimpleNamespace(getgrgid=lambda _gid: SimpleNamespace(gr_mem=members)),
        "pwd": SimpleNamespace(getpwnam=lambda name: SimpleNamespace(pw_uid=uids[name]), getpwall=lambda: users),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(safe_files, name, fake)
    assert safe_files._is_private(5000, {0, 1000}) is private


def test_directory_that_a_private_group_can_write_is_used(path, order, monkeypatch):
    monkeypatch.setattr(safe_files, "_is_private", lambda _group, _trusted: True)
    path.parent.chmod(0o775)
    assert write_file(path, "first", order)


def test_directory_with_a_list_that_lets_others_write_is_refused(path, order, monkeypatch):
    monkeypatch.setattr(safe_files, "_is_private", lambda _group, _trusted: True)
    monkeypatch.setattr("os.listxattr", lambda _path, follow_symlinks: ["system.posix_acl_access"])
    path.parent.chmod(0o775)
    with pytest.raises(SystemExit, match="has the mode 0775"):
        write_file(path, "first", order)


def test_directory_below_one_that_others_can_write_is_refused(path, order):
    (path.parent / "sub").mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(SystemExit, match="has the mode 0777"):
        write_file(path.parent / "sub" / "role_id", "first", order)


def test_directory_of_another_user_is_refused_and_of_the_owner_is_not(path, order):
    if os.geteuid() != 0:
        return  # only root can give a directory away
    nobody = pwd.getpwnam("nobody")
    os.chown(path.parent, nobody.pw_uid, -1)
    with pytest.raises(SystemExit, match="belongs to nobody"):
        write_file(path, "first", order)
    assert write_file(path, "first", {**order, "owner": "nobody"})
    assert path.stat().st_uid == nobody.pw_uid
    assert not write_file(path, "first", {**order, "owner": "nobody"})


def test_owner_that_is_not_there_is_a_sentence(path):
    with pytest.raises(SystemExit, match="no-such-user"):
        write_file(path, "first", {"owner": "no-such-user", "group": ""})


# -- directories --------------------------------------------------------------------------------------------------------------


def test_directory_is_made_once_with_those_above_it(path):
    deep = path.parent / "a" / "b"
    assert make_directory(deep, {"mode": "0700", "check": True})
    assert not deep.parent.exists()
    assert make_directory(deep, {"mode": "0700"})
    assert [one.stat().st_mode & 0o7777 for one in (deep.parent, deep)] == [0o755, 0o700]
    assert not make_directory(deep, {"mode": "0700"})
    assert make_directory(deep, {}) == {"mode": ("0700", "0755")}


@pytest.mark.parametrize("check", [True, False])
def test_directory_is_not_made_through_a_link_or_where_others_write(path, tmp_path, check):
    other = tmp_path / "theirs"
    other.mkdir(mode=0o700)
    (path.parent / "link").symlink_to(other)
    with pytest.raises(SystemExit, match="it is a link"):
        make_directory(path.parent / "link", {"mode": "0755", "check": check})
    assert other.stat().st_mode & 0o7777 == 0o700
    path.parent.chmod(0o777)
    with pytest.raises(SystemExit, match="has the mode 0777"):
        make_directory(path.parent / "sub" / "deeper", {"check": check})
    assert [one.name for one in path.parent.iterdir()] == ["link"]


def test_draft_that_is_not_valid_gets_no_name(path):
    def refuse(draft):
        assert open(draft).read() == "first"  # noqa: PTH123, SIM115
        sys.exit("no")

    with pytest.raises(SystemExit):
        write_file(path, "first", {"validate": refuse})
    assert list(path.parent.iterdir()) == []


def exchange_for_link(path, target, user):
    """For ever, as another user."""
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    while True:
        with contextlib.suppress(OSError):
            new = pathlib.Path(f"{path}.new")
            new.symlink_to(target)
            new.rename(path)
        with contextlib.suppress(OSError):
            path.unlink()


def test_second_user_cannot_have_root_change_another_file():
    """The owner of the directory exchanges the file for a link all the time while root writes it."""
    if os.geteuid() != 0:
        return  # only root can become two users
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        path, shadow = pathlib.Path(directory, "home", "file"), pathlib.Path(directory, "shadow")
        path.parent.parent.chmod(0o711)
        path.parent.mkdir()
        os.chown(path.parent, nobody.pw_uid, nobody.pw_gid)
        shadow.write_text("secret")
        shadow.chmod(0o600)
        attacker = multiprocessing.get_context("fork").Process(target=exchange_for_link, args=(path, shadow, nobody))
        attacker.start()
        refused = number = 0
        end = time.monotonic() + 60
        try:
            while number < 100 or (not refused and time.monotonic() < end):  # it may begin late
                number += 1
                try:
                    write_file(path, str(number), {"owner": "nobody", "mode": "0644"})
                except SystemExit:
                    refused += 1
        finally:
            attacker.kill()
            attacker.join()
        assert (shadow.read_text(), shadow.stat().st_uid, shadow.stat().st_mode & 0o7777) == ("secret", 0, 0o600)
        assert refused
