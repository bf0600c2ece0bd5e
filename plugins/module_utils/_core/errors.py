# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What can go wrong, each as one sentence for the person who runs the play."""

from __future__ import annotations

import typing as t


class Problem(Exception):
    """A sentence that says what was tried, on which path, what is in the way and what to do.

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
    """Not sent to the server, because the server would ignore it, break on it, or lose something."""


class MountMissing(Refused):
    """Nothing is mounted where the object should be; not the same as an object that is absent."""


class Forbidden(Problem):
    """The token lacks a right; the sentence names the path and the capability."""


class NotConverged(Problem):
    """The server accepted the request and still does not hold what was asked for."""
