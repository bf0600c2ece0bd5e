# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""Credentials at play time: issued once, kept alive while the run needs them, issued anew at the hard limit."""

from __future__ import annotations

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
)
from ansible_collections.leasehold.vault.plugins.module_utils._credentials import (
    effective_life,
    expiry,
    issue,
    placeholder,
    read_static,
)
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import MOUNT, name
from ansible_collections.leasehold.vault.plugins.module_utils._leases import renew, revoke
from ansible_collections.leasehold.vault.plugins.module_utils._times import seconds_of
from ansible_collections.leasehold.vault.plugins.plugin_utils import _ledger

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


def ledger_of_run() -> Ledger | None:
    try:
        return _ledger.of_this_run()
    except OSError as error:
        display.warning(
            f"Credentials are not remembered within this run, so that every mention issues anew: {error}. Make ANSIBLE_LOCAL_TEMP a "
            "directory that can be written."
        )
        return None


# -- one login for the run ------------------------------------------------------------------------------------------------


def logs_in(options: Values) -> bool:
    """Whether the token is the run's own."""
    return (options.get("auth_method") or "token") not in ("token", "none")


def session_of_run(ledger: Ledger | None, identity: str, options: Values) -> Session:
    """Log in once for the run; a token past half of its life is renewed, and replaced when that does not help."""
    if ledger is None or not logs_in(options):
        return _with_warnings(log_in(options))
    with ledger.entry("login", identity) as entry:
        now = clock()
        page = entry.page
        if page and page["expires"] - now > page["life"] / 2:
            return _with_token(options, page["token"])
        if page and page["renewable"] and page["expires"] > now:
            session = _with_token(options, page["token"])
            try:
                auth = session.client.ask("post", "auth/token/renew-self")["auth"]
            except Problem:
                auth = {"lease_duration": 0}
            if auth["lease_duration"] > page["life"] / 2:
                page["expires"] = now + auth["lease_duration"]
                return session
        session = _with_warnings(log_in(options))
        token = session.client.ask("get", "auth/token/lookup-self")["data"]
        life = token["ttl"] or 10**9  # 0 is a token without an end
        earlier = [*(page or {}).get("earlier", ()), *([page["token"]] if page else [])]
        entry.page = {
            "kind": "login",
            "id": ledger.fingerprint("login", identity),
            "token": session.client.token,
            "own": session.own_token,
            "life": life,
            "expires": now + life,
            "renewable": bool(token.get("renewable")),
            "earlier": earlier,
            "options": plain(options),
        }
        return session


def _with_token(options: Values, token: str) -> Session:
    return log_in({**options, "auth_method": "token", "token": token})


def _with_warnings(session: Session) -> Session:
    for warning in session.warnings:
        display.warning(warning)
    return session


def plain(options: Values) -> Values:
    """Options as JSON keeps them, without Ansible's own kinds of text."""
    return t.cast("Values", json.loads(json.dumps(options, default=str)))


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
    page = entry.page
    if page and need.revoke_at_end:
        page["revoke_at_end"] = True
    if page and _enough(page, need):
        return _answer(page)
    session = connect()
    if page and page["credentials"]["renewable"] and page["expires"] > clock():
        _renew(page, need, session)
        if _enough(page, need):
            return _answer(page)
    entry.page = _issue(need, session, page, options, login)
    return _answer(entry.page)


def _enough(page: Page, need: Need) -> bool:
    """Enough is more than half of a full life, or as much as is asked for and can be had."""
    left: int = math.ceil(page["expires"] - clock())  # what was granted a moment ago counts in full
    if need.valid_for and (page["reachable"] is None or need.valid_for <= page["reachable"]):
        return left >= need.valid_for
    return bool(left > page["life"] / 2)


def _renew(page: Page, need: Need, session: Session) -> None:
    try:
        duration = renew(session.client, page["credentials"]["lease_id"], max(need.valid_for, need.renew_increment))
    except Problem as problem:
        display.vv(f"leasehold: not renewed: {problem}")
        return
    _live(page, session, duration)


def _issue(need: Need, session: Session, old: Page | None, options: Values, login: str) -> Page:
    credentials, warnings = issue(session.client, need.mount, need.role)
    page: Page = {
        "kind": "lease",
        "path": f"{need.mount}/creds/{need.role}",
        "credentials": credentials,
        "life": max(credentials["expires_in"], 1),
        "reachable": None,  # how long a user can live at the most, once that is known
        "expires": clock() + credentials["expires_in"],
        "revoke_at_end": need.revoke_at_end,
        "replaced": [],
        "options": plain(options),
        "login": login,
        "token": session.client.token,
    }
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
    if old is not None:
        _replace(old, page, need, session)
    return page


def _replace(old: Page, page: Page, need: Need, session: Session) -> None:
    lease_id = old["credentials"]["lease_id"]
    page["revoke_at_end"] = page["revoke_at_end"] or old["revoke_at_end"]
    page["replaced"] = [*old["replaced"], lease_id]
    if need.revoke_replaced:
        try:
            revoke(session.client, lease_id)
            page["replaced"].remove(lease_id)
        except Problem as problem:
            display.warning(f"The replaced lease {lease_id} could not be revoked and lives on to its end. {problem}")


def _live(page: Page, session: Session, duration: int) -> None:
    life, warnings = effective_life(session.client, duration)
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
        options, identity, ledger = self.login_options, login_identity(self.login_options), ledger_of_run()
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

        if ledger is None:
            return lease_for(need, _ledger.Entry(), connect, options, "")
        whose = {"run": "", "host": str(self._variables.get("inventory_hostname", "")), "none": uuid.uuid4().hex}[
            self.option("scope")
        ]
        what = ("lease", identity, need.mount, role, self.option("scope"), whose, self.option("name") or "")
        with ledger.entry(*what) as entry:
            return lease_for(need, entry, connect, options, ledger.fingerprint("login", identity))


class StaticCredentials(CredentialsLookup):
    """The lookup ``database_static_credentials``: read once per run, and again when Vault has rotated."""

    def credentials(self, role: str) -> Values:
        if self.checking and not self.option("read_in_check_mode"):
            return placeholder(role)
        options, identity, ledger = self.login_options, login_identity(self.login_options), ledger_of_run()
        if ledger is None:
            return read_static(session_of_run(None, identity, options).client, self.mount, role).credentials
        with ledger.entry("static", identity, self.mount, role) as entry:
            if entry.page is None or entry.page["expires"] <= clock():
                session = session_of_run(ledger, identity, options)
                credentials = read_static(session.client, self.mount, role).credentials
                entry.page = {
                    "kind": "static",
                    "credentials": credentials,
                    "expires": clock() + credentials["expires_in"],
                }
            return _answer(entry.page)


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
