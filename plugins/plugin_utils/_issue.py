# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""One lease of the run: renewed past half of its life, and issued anew when it cannot live long enough."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._client import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._credentials import (
    effective_life,
    expiry,
    issue,
    look_up_token,
)
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._leases import renew, revoke
from ansible_collections.leasehold.vault.plugins.module_utils._process import signals_deferred
from ansible_collections.leasehold.vault.plugins.plugin_utils._ledger import CannotNote, clock, has_enough
from ansible_collections.leasehold.vault.plugins.plugin_utils._session import plain

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session
    from ansible_collections.leasehold.vault.plugins.plugin_utils._ledger import Entry, LeaseRequest, Page

Values = dict[str, t.Any]
display = Display()


def renew_or_issue(
    request: LeaseRequest, entry: Entry, connect: Callable[[], Session], options: Values, login: str
) -> Page:
    """The page with credentials that live long enough; the entry is left as it then is."""
    page = entry.page if entry.page and entry.page["credentials"] else None
    if page and page["credentials"]["renewable"] and page["expires"] > clock():
        _renew(page, request, connect())
        if has_enough(page, request):
            return page
    with signals_deferred():
        return _issue(request, connect, entry, options, login)


def _renew(page: Page, request: LeaseRequest, session: Session) -> None:
    try:
        token = look_up_token(session.client, f"Renewing {page['credentials']['lease_id']}")
        duration = renew(
            session.client, page["credentials"]["lease_id"], max(request.valid_for, request.renew_increment)
        )
    except Problem as problem:
        display.vv(f"leasehold: not renewed: {problem}")
        return
    _live(page, session, token, duration)


def _issue(request: LeaseRequest, connect: Callable[[], Session], entry: Entry, options: Values, login: str) -> Page:
    """A new user, on the page before anything else happens; its page begins with the intention to issue it."""
    old = entry.page
    page: Page = {
        "kind": "lease",
        "path": f"{request.mount}/creds/{request.role}",
        "credentials": None,
        "issuing": True,
        "unconfirmed": old["unconfirmed"] + old["issuing"] if old else 0,
        "revoke_at_end": request.revoke_at_end,
        "replaced": [],
        "options": plain(options),
        "login": login,
        "token": "",
    }
    entry.note({**page, **(old or {}), "issuing": True}, keep_room=True)
    session: Session | None = None

    def note(credentials: Values) -> None:
        life = max(credentials["expires_in"], 1)
        page.update(credentials=credentials, issuing=False, life=life, expires=clock() + credentials["expires_in"])
        page["reachable"] = None  # how long a user can live at the most, once that is known
        if old is not None:
            page["revoke_at_end"] = page["revoke_at_end"] or old["revoke_at_end"]
            page["replaced"] = [*old["replaced"], *([old["credentials"]["lease_id"]] if old["credentials"] else [])]
        try:
            entry.note(page)
        except CannotNote as error:
            raise _taken_back(t.cast("Session", session), page, error) from None

    try:
        session = connect()
        page["token"] = session.client.token
        credentials, warnings = issue(session.client, request.mount, request.role, note)
    except Problem as problem:
        if not page["credentials"] and not (isinstance(problem, VaultError) and problem.in_doubt):
            with contextlib.suppress(CannotNote):
                entry.note(old)
        raise
    for warning in warnings:
        display.warning(f"{page['path']}: {warning}")
    if credentials["expires_in"] < request.valid_for and credentials["renewable"]:
        _renew(page, request, session)
    if page["credentials"]["expires_in"] < request.valid_for:
        page["reachable"] = page["credentials"]["expires_in"]
        display.warning(
            f"{page['path']}: valid_for asks for {request.valid_for} s, and a new user lives {page['reachable']} s at the most. Raise max_ttl of "
            "the role, or the life of the token."
        )
    if request.revoke_replaced and old is not None and old["credentials"]:
        lease_id = old["credentials"]["lease_id"]
        try:
            revoke(session.client, lease_id)
            page["replaced"].remove(lease_id)
        except Problem as problem:
            display.warning(f"The replaced lease {lease_id} could not be revoked and lives on to its end. {problem}")
    return page


def _taken_back(session: Session, page: Page, error: CannotNote) -> Problem:
    """End at once what this run would forget."""
    lease_id = page["credentials"]["lease_id"]
    said = f"The user of the lease {lease_id} could not be noted in the temporary directory of this run, {error.why}"
    try:
        revoke(session.client, lease_id)
    except Problem as problem:
        return Problem(f"{said}, and could not be revoked either: it lives to the end of its lease. {problem}")
    page["credentials"] = None
    return Problem(f"{said}, and was revoked at once. Make ANSIBLE_LOCAL_TEMP (local_tmp) a directory that has room.")


def _live(page: Page, session: Session, token: Values, duration: int) -> None:
    life, warnings = effective_life(token, duration)
    page["expires"] = clock() + life
    page["credentials"] |= {"lease_duration": duration, **expiry(life, session.client.now())}
    for warning in warnings:
        display.warning(f"{page['path']}: {warning}")
