# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Moments and durations, as Vault writes them and as our results do."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import seconds


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def time_of(text: str) -> datetime.datetime:
    """Vault writes nanoseconds without the zeros at their end; Python reads six digits."""
    text = re.sub(r"\.\d+", lambda fraction: fraction.group().ljust(7, "0")[:7], text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)


def said_at(at: datetime.datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds_of(option: str, value: t.Any) -> int:
    try:
        return seconds(value)
    except ValueError as error:
        raise Refused(f"{option}: {error}") from None
