# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""A difference between what is declared and what is there, as ``database_health_info`` and the playbook ``drift`` report it."""

from __future__ import annotations

import dataclasses

DIFFERS, UNDECLARED, UNKNOWN = "differs", "undeclared", "unknown"
"""States; ``unknown``: it could not be looked at."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be, or could not be looked at."""

    kind: str
    name: str
    state: str
    detail: str
    cure: str = ""

    @property
    def line(self) -> str:
        """The difference in one line for people."""
        word = "" if self.state == DIFFERS else f"{self.state}: "
        return f"{self.kind}/{self.name}: {word}{self.detail}" + (f" ({self.cure})" if self.cure else "")
