# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a file where only root and its owner could put another one: not through a symbolic link, and not into a directory that somebody
else can write. Owner and mode are set on the file that was opened, before it has its name."""

import errno
import grp
import os
import pathlib
import pwd
import stat
import sys


def place(path, content, order):
    """Whether the file had to get this content (None: the one it has), owner (else who runs this), group and mode (else 0600).

    ``order["check"]`` only looks.
    """
    path, mode = pathlib.Path(path).absolute(), int(order.get("mode") or "0600", 8)
    try:
        owner = pwd.getpwnam(order["owner"]).pw_uid if order.get("owner") else os.geteuid()
        group = grp.getgrnam(order["group"]).gr_gid if order.get("group") else None
    except KeyError as error:
        sys.exit(f"{path} was not written: {error}.")
    try:
        directory = _directory(path, {0, os.geteuid(), owner})
    except FileNotFoundError:
        if not order.get("check"):
            raise
        return True
    try:
        held, found = _existing(path, directory)
        if content is None and held is None:
            sys.exit(f"{path} is not there.")
        content = held if content is None else content.encode()
        if held == content and _is_right(found, owner, group, mode):
            return False
        if not order.get("check"):
            _write(path.name, content, owner, group, mode, directory)
        return True
    finally:
        os.close(directory)


def _directory(path, trusted):
    """The directory of a path, opened, after a look at each one above it."""
    parent = pathlib.Path(os.path.normpath(path.parent))
    for start in dict.fromkeys([parent, parent.resolve()]):
        for one in [*reversed(start.parents), start]:
            found = one.lstat()
            written_by = found.st_mode & (0o002 if _is_private(found.st_gid, trusted) else 0o022)
            others_write = written_by and not stat.S_ISLNK(found.st_mode)
            sticky = found.st_mode & stat.S_ISVTX and one != start
            if found.st_uid not in trusted or (others_write and not sticky):
                sys.exit(
                    f"{path} was not written: {one} belongs to {_name(found.st_uid)} and has the mode {stat.S_IMODE(found.st_mode):04o}, so that others "
                    "than root and the owner of the file could put another file in its place. Correct the directory, or choose another one."
                )
    return os.open(parent.resolve(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _is_private(group, trusted):
    """Whether the users of a group are all trusted, as in the group of its own that a user is often created with."""
    try:
        users = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        return False
    users.update(user.pw_uid for user in pwd.getpwall() if user.pw_gid == group)
    return bool(users) and users <= trusted


def _existing(path, directory):
    try:
        handle = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        sys.exit(f"{path} was not written: it is a symbolic link. Remove it.")
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(handle)
        sys.exit(f"{path} was not written: it is a link, a directory or a device. Remove it.")
    with os.fdopen(handle, "rb") as stream:
        return stream.read(), found


def _is_right(found, owner, group, mode):
    return (found.st_uid, stat.S_IMODE(found.st_mode)) == (owner, mode) and group in (None, found.st_gid)


def _write(name, content, owner, group, mode, directory):
    draft = f".{name}.{os.urandom(6).hex()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(handle, owner if owner != os.geteuid() else -1, -1 if group is None else group)
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(draft, dir_fd=directory)
        raise


def _name(user):
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
