# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Timestamps and durations in Vault's formats and in that of results."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile("[0-9]+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def time_of(text: str) -> datetime.datetime:
    """Vault writes nanoseconds without the zeros at their end; Python reads six digits."""
    text = re.sub(r"\.\d+", lambda fraction: fraction.group().ljust(7, "0")[:7], text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)


def timestamp(at: datetime.datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds(value: t.Any) -> int:
    """Whole seconds of a duration as Vault writes it; refuses what the server would refuse, ignore or misread."""
    given = str(value).strip()
    if _NUMBER.fullmatch(given):
        return int(given)
    if not _DURATION.fullmatch(given):
        raise ValueError(f"{given!r} is not a duration; write seconds (5400) or units of s, m, h and d (1h30m)")
    total = sum((float(n) if "." in n else int(n)) * _UNITS[unit] for n, unit in _PART.findall(given))
    if total != int(total):
        raise ValueError(f"{given!r} is not a whole number of seconds")
    return int(total)


def seconds_of(option: str, value: t.Any) -> int:
    try:
        return seconds(value)
    except ValueError as error:
        raise Refused(f"{option}: {error}") from None
