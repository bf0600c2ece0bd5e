# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Writes files and makes directories safely: refuses symbolic links, and directories that others than root and the owner can write to.
Owner and mode are set on the file that was opened, before it gets its name.

Also runs in front of ``roles/app_access/files/unwrap.py``, in one program, and so imports nothing but Python's own.
"""

from __future__ import annotations

import errno
import grp
import os
import pathlib
import pwd
import stat
import typing as t

if t.TYPE_CHECKING:
    Differences = dict[str, tuple[t.Any, t.Any]]


class NotWritten(SystemExit):
    """Why nothing was written, as a sentence: a program ends with it, a module fails with it."""


def write_file(path: str | os.PathLike[str], content: str | None, order: dict[str, t.Any]) -> Differences:
    """What differed: names of ``content``, ``owner``, ``group``, ``mode``, each with what is found and what there is to be.

    The file gets this content (None: keeps the one it has), owner (else who runs this), group and mode (else 0600).  ``order["check"]`` only
    looks; ``order["validate"]`` is called with the path of the draft before it gets its name.
    """
    file, owner, group, mode = _wanted(path, order, "0600")
    try:
        directory = _directory(file, {0, os.geteuid(), owner})
    except FileNotFoundError:
        if not order.get("check"):
            raise
        return _differences(None, None, (content or "").encode(), owner, group, mode)
    try:
        current, found = _existing(file, directory)
        if content is None and current is None:
            raise NotWritten(f"{file} is not there.")
        desired = content.encode() if content is not None else current or b""
        differences = _differences(current, found, desired, owner, group, mode)
        if differences and not order.get("check"):
            _write(file, desired, owner, group, mode, directory, order.get("validate"))
        return differences
    finally:
        os.close(directory)


def make_directory(path: str | os.PathLike[str], order: dict[str, t.Any]) -> Differences:
    """The same for a directory (mode: else 0755).  Directories above it that are missing are made, of who runs this."""
    whole, owner, group, mode = _wanted(path, order, "0755")
    missing = [one for one in reversed(whole.parents) if not one.exists() and not one.is_symlink()]
    if missing and order.get("check"):
        os.close(_directory(missing[0], {0, os.geteuid(), owner}, whole))
        return _differences(None, None, None, owner, group, mode)
    for one in missing:
        _make_directory(one, {0, os.geteuid(), owner}, whole, os.geteuid(), None, 0o755, False)
    return _make_directory(whole, {0, os.geteuid(), owner}, whole, owner, group, mode, bool(order.get("check")))


def _make_directory(
    path: pathlib.Path,
    trusted: set[int],
    whole: pathlib.Path,
    owner: int,
    group: int | None,
    mode: int,
    only_look: bool,
) -> Differences:
    directory = _directory(path, trusted, whole)
    try:
        try:
            found = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            found = None
        if found and not stat.S_ISDIR(found.st_mode):
            raise NotWritten(f"{path} was not made: it is a link or no directory. Remove it.")
        differences = _differences(None, found, None, owner, group, mode)
        if differences and not only_look:
            if not found:
                os.mkdir(path.name, 0o700, dir_fd=directory)
            handle = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                _give(handle, owner, group, mode)
            finally:
                os.close(handle)
        return differences
    finally:
        os.close(directory)


def _wanted(
    path: str | os.PathLike[str], order: dict[str, t.Any], mode: str
) -> tuple[pathlib.Path, int, int | None, int]:
    file = pathlib.Path(os.path.abspath(path))  # noqa: PTH100 (no links resolved)
    try:
        owner = pwd.getpwnam(order["owner"]).pw_uid if order.get("owner") else os.geteuid()
        group = grp.getgrnam(order["group"]).gr_gid if order.get("group") else None
    except KeyError as error:
        raise NotWritten(f"{file} was not written: {error}.") from None
    asked = order.get("mode") or mode
    # YAML reads 0640 without quotes as the number that it is.
    return file, owner, group, asked if isinstance(asked, int) else int(asked, 8)


def _directory(path: pathlib.Path, trusted: set[int], whole: pathlib.Path | None = None) -> int:
    """The directory of a path, opened, after a look at each one above it."""
    parent = path.parent
    for start in dict.fromkeys([parent, parent.resolve()]):
        for one in [*reversed(start.parents), start]:
            found = one.lstat()
            private = _is_private(found.st_gid, trusted) and not _has_list(one)
            written_by = found.st_mode & (0o002 if private else 0o022)
            others_write = written_by and not stat.S_ISLNK(found.st_mode)
            sticky = found.st_mode & stat.S_ISVTX and one != start
            if found.st_uid not in trusted or (others_write and not sticky):
                raise NotWritten(
                    f"{whole or path} was not written: {one} belongs to {_name(found.st_uid)} and has the mode {stat.S_IMODE(found.st_mode):04o}, so "
                    "that others than root and the owner of the file could put another file in its place. Correct the directory, or choose another one."
                )
    return os.open(parent.resolve(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _is_private(group: int, trusted: set[int]) -> bool:
    """Whether the users of a group are all trusted, as in the group of its own that a user is often created with."""
    try:
        users = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        return False
    users.update(user.pw_uid for user in pwd.getpwall() if user.pw_gid == group)
    return bool(users) and users <= trusted


def _has_list(directory: pathlib.Path) -> bool:
    """Whether an access control list may let others in; the bits of the group then are the most that it gives to anybody."""
    try:
        return "system.posix_acl_access" in os.listxattr(directory, follow_symlinks=False)
    except (AttributeError, OSError):  # not on this system, or not on this file system
        return False


def _existing(path: pathlib.Path, directory: int) -> tuple[bytes, os.stat_result] | tuple[None, None]:
    try:
        handle = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise NotWritten(f"{path} was not written: it is a symbolic link. Remove it.") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(handle)
        raise NotWritten(f"{path} was not written: it is a link, a directory or a device. Remove it.")
    with os.fdopen(handle, "rb") as stream:
        return stream.read(), found


def _differences(
    held: bytes | None, found: os.stat_result | None, content: bytes | None, owner: int, group: int | None, mode: int
) -> Differences:
    differences = {
        "content": (held, content),
        "owner": (found and _name(found.st_uid), _name(owner)),
        "group": (found and found.st_gid, group if group is not None else found and found.st_gid),
        "mode": (found and f"{stat.S_IMODE(found.st_mode):04o}", f"{mode:04o}"),
    }
    return {what: sides for what, sides in differences.items() if sides[0] != sides[1]}


def _write(
    path: pathlib.Path,
    content: bytes,
    owner: int,
    group: int | None,
    mode: int,
    directory: int,
    validate: t.Callable[[str], None] | None,
) -> None:
    draft = f".{path.name}.{os.urandom(6).hex()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    named = False
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            _give(handle, owner, group, mode)
            os.fsync(handle)
        if validate:
            validate(str(path.parent / draft))
        os.rename(draft, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        named = True
    finally:
        if not named:
            os.unlink(draft, dir_fd=directory)


def _give(handle: int, owner: int, group: int | None, mode: int) -> None:
    os.fchown(handle, owner if owner != os.fstat(handle).st_uid else -1, -1 if group is None else group)
    os.fchmod(handle, mode)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
