# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""Credentials at play time: issued once, kept alive while the run needs them, issued anew at the hard limit."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
import typing as t
import uuid

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils import _options
from ansible_collections.leasehold.vault.plugins.module_utils._auth import (
    Session,
    leave_no_core,
    log_in,
    login_identity,
    signals_deferred,
)
from ansible_collections.leasehold.vault.plugins.module_utils._client import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._credentials import (
    effective_life,
    expiry,
    issue,
    look_up_token,
    placeholder,
    read_static,
)
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import MOUNT, name
from ansible_collections.leasehold.vault.plugins.module_utils._leases import renew, revoke
from ansible_collections.leasehold.vault.plugins.module_utils._times import seconds_of
from ansible_collections.leasehold.vault.plugins.plugin_utils import _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._end import run_has_end

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.leasehold.vault.plugins.plugin_utils._ledger import Entry, Ledger, Page

Values = dict[str, t.Any]
display = Display()
CALLBACK = "leasehold.vault.revoke_leases"
leave_no_core()


def clock() -> float:
    """Seconds of a clock that all processes of this machine share and that nobody sets; it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class CredentialsLookup(LookupBase):
    """What both lookups share: their options, the ledger, the login, and how they fail."""

    def run(self, terms: list[str], variables: Values | None = None, **kwargs: t.Any) -> list[Values]:
        self._plugin = t.cast("t.Any", self)  # LookupBase is untyped
        self._variables = variables or {}
        _options.drop_empty_variables()
        self._plugin.set_options(var_options=self._finished(), direct=kwargs)
        try:
            return [self.credentials(_role(term)) for term in terms]
        except Problem as problem:
            for warning in problem.result.get("warnings", ()):
                display.warning(warning)
            raise AnsibleLookupError(str(problem)) from None

    def credentials(self, role: str) -> Values:
        raise NotImplementedError

    def _finished(self) -> Values:
        """The variables in which options are found; Ansible hands them over as they are written, templates and all."""
        places = [
            place["name"] for told in self._plugin.option_definitions.values() for place in told.get("vars") or ()
        ]
        return {
            name: self._plugin._templar.template(self._variables[name]) for name in places if name in self._variables
        }

    def option(self, option: str) -> t.Any:
        return self._plugin.get_option(option)

    def duration(self, option: str) -> int:
        return seconds_of(option, self.option(option) or 0)

    @property
    def mount(self) -> str:
        return str(MOUNT.said_in({"mount": self.option("mount")}))

    @property
    def checking(self) -> bool:
        return bool(self._variables.get("ansible_check_mode"))

    @property
    def login_options(self) -> Values:
        return {option: self.option(option) for option in _options.NAMES}


# -- one login for the run ------------------------------------------------------------------------------------------------


def logs_in(options: Values) -> bool:
    """Whether the token is the run's own."""
    return (options.get("auth_method") or "token") not in ("token", "none")


def session_of_run(ledger: Ledger, identity: str, options: Values) -> Session:
    """Log in once for the run; a token past half of its life is renewed, and replaced when that does not help."""
    if not logs_in(options):
        return _with_warnings(log_in(options))
    with ledger.entry("login", identity) as entry:
        now = clock()
        page = entry.page
        if page and page["expires"] - now > page["life"] / 2:
            return _with_token(options, page["token"])
        if page and page["renewable"] and page["expires"] > now:
            session = _with_token(options, page["token"])
            try:
                auth = session.client.ask("post", "auth/token/renew-self", needs=("auth",))["auth"]
            except Problem:
                auth = {"lease_duration": 0}
            if auth.get("lease_duration", 0) > page["life"] / 2:
                page["expires"] = now + auth["lease_duration"]
                return session
        with signals_deferred():
            return _log_in_noted(ledger.fingerprint("login", identity), entry, options)


def _log_in_noted(login: str, entry: Entry, options: Values) -> Session:
    """A new login, which the run will end; the page is written before, so that none is made that could not be noted."""
    earlier = [token for token in [*(entry.page or {}).get("earlier", ()), (entry.page or {}).get("token")] if token]
    page = {
        "kind": "login",
        "id": login,
        "token": "",
        "own": False,
        "life": 0,
        "expires": 0,
        "renewable": False,
        "earlier": earlier,
        "options": plain(options),
    }
    before = entry.page
    entry.note(page, keep_room=True)
    try:
        session = log_in(options)
    except Problem:
        entry.note(before)
        raise
    client = session.client
    # A token that is good for some requests only (num_uses) is nobody else's; 0 is a token without an end.
    life = 0 if client.uses_left else client.token_ttl or 10**9
    noted = {"token": client.token, "own": session.own_token, "life": life, "expires": clock() + life}
    try:
        entry.note({**page, **noted, "renewable": session.renewable and life > 0})
    except _ledger.CannotNote:
        session.log_out()
        raise
    return _with_warnings(session)


def give_up_login(ledger: Ledger, identity: str, options: Values) -> None:
    """End a login on which nothing depends, where the run has no end at which that would be done."""
    if not logs_in(options):
        return
    login = ledger.fingerprint("login", identity)
    with ledger.entry("login", identity) as entry:
        page = entry.page
        if page and not any(lease["kind"] == "lease" and lease["login"] == login for lease in ledger.pages()):
            for token in [*page["earlier"], *([page["token"]] if page["own"] else [])]:
                for warning in _with_token(page["options"], token)._replace(own_token=True).log_out():
                    display.warning(warning)
            entry.note(None)


def _with_token(options: Values, token: str) -> Session:
    return log_in({**options, "auth_method": "token", "token": token})


def _with_warnings(session: Session) -> Session:
    for warning in session.warnings:
        display.warning(warning)
    return session


def plain(options: Values) -> Values:
    """Options as JSON keeps them, without Ansible's own kinds of text."""
    return t.cast("Values", json.loads(json.dumps(options, default=str)))


def issued_by_module(options: Values, perform: Callable[[Callable[[Values], Session]], Values]) -> Values:
    """What the module ``database_credentials`` answers; its user outlives the run, and so does its login, as long as the user lives.

    The run's end looks whether that user is still there: a login whose user was revoked in the meantime ends.
    """
    if not logs_in(options):
        return perform(log_in)
    ledger, identity = _ledger.of_this_run(), uuid.uuid4().hex
    sessions: list[Session] = []

    def connect(_options: Values) -> Session:
        sessions.append(session_of_run(ledger, identity, options))
        return sessions[-1]

    result: Values = {}
    try:
        result = perform(connect)
    finally:
        lease_id = (result.get("credentials") or {}).get("lease_id")
        if not lease_id:  # it has logged out
            with ledger.entry("login", identity) as entry:
                entry.note(None)
    if lease_id:
        with ledger.entry("lease", identity) as entry:
            entry.note(
                {
                    "kind": "lease",
                    "path": lease_id.rpartition("/")[0],
                    "credentials": {"lease_id": lease_id},
                    "issuing": False,
                    "unconfirmed": 0,
                    "revoke_at_end": False,
                    "replaced": [],
                    "options": plain(options),
                    "login": ledger.fingerprint("login", identity),
                    "token": sessions[-1].client.token,
                }
            )
    return result


# -- one lease --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Need:
    """What a mention asks of a lease."""

    mount: str
    role: str
    valid_for: int = 0
    renew_increment: int = 0
    revoke_at_end: bool = False
    revoke_replaced: bool = False


def lease_for(need: Need, entry: Entry, connect: Callable[[], Session], options: Values, login: str) -> Values:
    """The credentials on the page, kept alive or replaced; the page is left as it then is."""
    page = entry.page if entry.page and entry.page["credentials"] else None
    if page and need.revoke_at_end:
        page["revoke_at_end"] = True
    if page and _enough(page, need):
        return _answer(page)
    if page and page["credentials"]["renewable"] and page["expires"] > clock():
        _renew(page, need, connect())
        if _enough(page, need):
            return _answer(page)
    with signals_deferred():
        return _answer(_issue(need, connect, entry, options, login))


def _enough(page: Page, need: Need) -> bool:
    """Enough is more than half of a full life, or as much as is asked for and can be had."""
    left: int = math.ceil(page["expires"] - clock())  # what was granted a moment ago counts in full
    if need.valid_for and (page["reachable"] is None or need.valid_for <= page["reachable"]):
        return left >= need.valid_for
    return bool(left > page["life"] / 2)


def _renew(page: Page, need: Need, session: Session) -> None:
    try:
        token = look_up_token(session.client, f"Renewing {page['credentials']['lease_id']}")
        duration = renew(session.client, page["credentials"]["lease_id"], max(need.valid_for, need.renew_increment))
    except Problem as problem:
        display.vv(f"leasehold: not renewed: {problem}")
        return
    _live(page, session, token, duration)


def _issue(need: Need, connect: Callable[[], Session], entry: Entry, options: Values, login: str) -> Page:
    """A new user, on the page before anything else happens; its page begins with the intention to issue it."""
    old = entry.page
    page: Page = {
        "kind": "lease",
        "path": f"{need.mount}/creds/{need.role}",
        "credentials": None,
        "issuing": True,
        "unconfirmed": old["unconfirmed"] + old["issuing"] if old else 0,
        "revoke_at_end": need.revoke_at_end,
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
        except _ledger.CannotNote as error:
            raise _taken_back(t.cast("Session", session), page, error) from None

    try:
        session = connect()
        page["token"] = session.client.token
        credentials, warnings = issue(session.client, need.mount, need.role, note)
    except Problem as problem:
        if not page["credentials"] and not (isinstance(problem, VaultError) and problem.in_doubt):
            with contextlib.suppress(_ledger.CannotNote):
                entry.note(old)
        raise
    for warning in warnings:
        display.warning(f"{page['path']}: {warning}")
    if credentials["expires_in"] < need.valid_for and credentials["renewable"]:
        _renew(page, need, session)
    if page["credentials"]["expires_in"] < need.valid_for:
        page["reachable"] = page["credentials"]["expires_in"]
        display.warning(
            f"{page['path']}: valid_for asks for {need.valid_for} s, and a new user lives {page['reachable']} s at the most. Raise max_ttl of "
            "the role, or the life of the token."
        )
    if need.revoke_replaced and old is not None and old["credentials"]:
        lease_id = old["credentials"]["lease_id"]
        try:
            revoke(session.client, lease_id)
            page["replaced"].remove(lease_id)
        except Problem as problem:
            display.warning(f"The replaced lease {lease_id} could not be revoked and lives on to its end. {problem}")
    return page


def _taken_back(session: Session, page: Page, error: _ledger.CannotNote) -> Problem:
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


def _answer(page: Page) -> Values:
    return {**page["credentials"], "expires_in": max(int(page["expires"] - clock()), 0)}


class DynamicCredentials(CredentialsLookup):
    """The lookup ``database_credentials``."""

    def credentials(self, role: str) -> Values:
        if self.checking and not self.option("issue_in_check_mode"):
            return placeholder(role)
        options, identity, ledger = self.login_options, login_identity(self.login_options), _ledger.of_this_run()
        at_end = self.option("revoke") == "at_end"
        if at_end:
            _warn_without_callback()
        need = Need(
            mount=self.mount,
            role=role,
            valid_for=self.duration("valid_for"),
            renew_increment=self.duration("renew_increment"),
            revoke_at_end=at_end,
            revoke_replaced=bool(self.option("revoke_replaced")),
        )

        def connect() -> Session:
            return session_of_run(ledger, identity, options)

        whose = {"run": "", "host": str(self._variables.get("inventory_hostname", "")), "none": uuid.uuid4().hex}[
            self.option("scope")
        ]
        what = ("lease", identity, need.mount, role, self.option("scope"), whose, self.option("name") or "")
        try:
            with ledger.entry(*what) as entry:
                return lease_for(need, entry, connect, options, ledger.fingerprint("login", identity))
        except Problem:
            if not run_has_end():
                give_up_login(ledger, identity, options)
            raise


class StaticCredentials(CredentialsLookup):
    """The lookup ``database_static_credentials``: read once per run, and again when Vault has rotated."""

    def credentials(self, role: str) -> Values:
        if self.checking and not self.option("read_in_check_mode"):
            return placeholder(role)
        options, identity = self.login_options, login_identity(self.login_options)
        try:
            ledger = _ledger.of_this_run()
            try:
                with ledger.entry("static", identity, self.mount, role) as entry:
                    page = entry.page
                    if page is None or page["expires"] <= clock():
                        page = self._read(session_of_run(ledger, identity, options), role)
                        entry.note(page)
            finally:
                if not run_has_end():
                    give_up_login(ledger, identity, options)
        except _ledger.CannotNote as error:
            display.warning(
                f"Passwords are not remembered within this run, so that every mention reads anew: {error.why}."
            )
            session = _with_warnings(log_in(options))
            try:
                page = self._read(session, role)
            finally:
                session.log_out()
        return _answer(page)

    def _read(self, session: Session, role: str) -> Page:
        credentials = read_static(session.client, self.mount, role).credentials
        return {"kind": "static", "credentials": credentials, "expires": clock() + credentials["expires_in"]}


def _role(term: str) -> str:
    try:
        return name(term)
    except ValueError as error:
        raise Refused(f"The role: {error}") from None


def _warn_without_callback() -> None:
    from ansible import constants

    if CALLBACK not in constants.config.get_config_value("CALLBACKS_ENABLED"):
        display.warning(
            f"revoke=at_end needs the callback {CALLBACK}, which is not enabled; add it to callbacks_enabled. Until then the users live to the "
            "end of their leases."
        )
