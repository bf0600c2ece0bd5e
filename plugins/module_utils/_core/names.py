# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Validation of names and mount paths that become part of a request path."""

from __future__ import annotations

import re
import typing as t

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def name(value: t.Any) -> str:
    """A name that matches Vault's own path pattern; ``ValueError`` otherwise."""
    given = str(value)
    if not _NAME.fullmatch(given):
        raise ValueError(
            f"{given!r} cannot be a name in Vault; use letters, digits and _, with . and - inside (no slash, blank or accent)"
        )
    return given


def mount_path(value: t.Any) -> str:
    """Where an engine is mounted; ``team-a/db`` and ``/team-a/db/`` are one mount."""
    given = str(value).strip("/")
    parts = given.split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(
            f"{str(value)!r} cannot be a mount; use names joined by /, without blanks, dots in front, or '..'"
        )
    if parts[0] in ("sys", "auth", "identity", "cubbyhole"):
        raise ValueError(f"{given!r} cannot be a mount: {parts[0]}/ belongs to Vault itself")
    return given
