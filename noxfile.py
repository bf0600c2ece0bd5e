# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For those who look for nox: the sessions are the parts of `./test`, which makes its own environment. `nox -- PART …` names any part or test."""

from __future__ import annotations

import nox

PARTS = ("lint", "unit", "sanity", "integration", "docs", "changelog", "package")


@nox.session(python=False)
def test(session: nox.Session) -> None:
    """The default run, or what is named behind `--`."""
    session.run("./test", *session.posargs, external=True)


@nox.session(python=False, default=False)
@nox.parametrize("part", PARTS, ids=PARTS)
def part(session: nox.Session, part: str) -> None:
    """One part of the tests: `nox -s "part(lint)"`."""
    session.run("./test", part, *session.posargs, external=True)
