# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The exceptions; each text is one sentence for the user who runs the play."""

from __future__ import annotations

import typing as t


class Problem(Exception):
    """An error text: what was tried, on which path, why it failed and what to do.

    ``result`` is what the module returns beside it, when something was done before it failed.
    """

    def __init__(self, sentence: str, **result: t.Any) -> None:
        super().__init__(sentence)
        self.result = result

    def add_warnings(self, warnings: t.Sequence[str]) -> None:
        """What the user should know although, or because, it failed."""
        if warnings:
            self.result["warnings"] = [*warnings, *self.result.get("warnings", ())]


class Refused(Problem):
    """Refused before any request: the server would ignore it, fail, or lose data."""


class MountMissing(Refused):
    """Nothing is mounted where the object should be; not the same as an object that is absent."""


class Forbidden(Problem):
    """The token lacks a right; the sentence names the path and the capability."""


class NotConverged(Problem):
    """The server accepted the request, but reading back shows something else."""
