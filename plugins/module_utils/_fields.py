# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The kinds of field, each a word.  What a kind means for comparing, sending and refusing is decided here."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils import _statements
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import Field

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile("[0-9]+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def text(option: str, **more: t.Any) -> Field:
    return Field(option, same=str, **more)


def number(option: str, **more: t.Any) -> Field:
    return Field(option, type="int", same=int, **more)


def flag(option: str, **more: t.Any) -> Field:
    return Field(option, type="bool", same=_boolean, **more)


def duration(option: str, **more: t.Any) -> Field:
    """``90m``, ``1h30m``, ``"5400"`` and 5400 are one value; 0 means the server's own default."""
    return Field(option, same=seconds, default=0, **more)


def statements(option: str, **more: t.Any) -> Field:
    """SQL, in order.  One string is one statement list of one: Ansible's list type would cut it at its commas."""
    return Field(option, type="raw", same=_statements.readable, wire=_statements.sendable, default=[], **more)


def names(option: str, **more: t.Any) -> Field:
    """A set: order and repetition mean nothing."""
    more["spec"] = {"elements": "str", **more.get("spec", {})}
    return Field(option, type="list", same=_name_set, default=[], **more)


def secret(option: str, **more: t.Any) -> Field:
    more["spec"] = {"no_log": True, **more.get("spec", {})}
    return Field(option, kept="hidden", **more)


def switch(option: str, **more: t.Any) -> Field:
    return Field(option, type="bool", kept="not", **more)


def fact(option: str, *read: str, same: t.Callable[[t.Any], t.Any] = str) -> Field:
    return Field(option, kept="fact", read=read or (option,), same=same)


def seconds(value: t.Any) -> int:
    """Whole seconds of a duration as Vault writes it; refuses what the server would refuse, ignore or misread."""
    said = str(value).strip()
    if _NUMBER.fullmatch(said):
        return int(said)
    if not _DURATION.fullmatch(said):
        raise ValueError(f"{said!r} is not a duration; write seconds (5400) or units of s, m, h and d (1h30m)")
    total = sum((float(n) if "." in n else int(n)) * _UNITS[unit] for n, unit in _PART.findall(said))
    if total != int(total):
        raise ValueError(f"{said!r} is not a whole number of seconds")
    return int(total)


def name(value: t.Any) -> str:
    """A name as Vault's own path pattern has it, so that it can stand in a path and nothing else can."""
    said = str(value)
    if not _NAME.fullmatch(said):
        raise ValueError(
            f"{said!r} cannot be a name in Vault; use letters, digits and _, with . and - inside (no slash, blank or accent)"
        )
    return said


def mount_path(value: t.Any) -> str:
    """Where an engine is mounted; ``team-a/db`` and ``/team-a/db/`` are one mount."""
    said = str(value).strip("/")
    parts = said.split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(
            f"{str(value)!r} cannot be a mount; use names joined by /, without blanks, dots in front, or '..'"
        )
    if parts[0] in ("sys", "auth", "identity", "cubbyhole"):
        raise ValueError(f"{said!r} cannot be a mount: {parts[0]}/ belongs to Vault itself")
    return said


def _boolean(value: t.Any) -> bool:
    said = str(value).strip().lower()
    if said in ("true", "yes", "on", "1"):
        return True
    if said in ("false", "no", "off", "0", ""):
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def _name_set(value: t.Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return sorted({str(item).strip() for item in items} - {""})


MOUNT = Field(
    "mount",
    same=mount_path,
    spec={
        "default": "database",
        "aliases": ["database_mount_path", "vault_database_mount_path", "mount_path", "engine_mount_point"],
    },
)
