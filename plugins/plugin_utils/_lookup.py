# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""Credentials for lookups: issued once, renewed while the run needs them, issued anew when their maximum TTL is reached.

Each mention of a lookup is evaluated in a new process, which has to load what it uses; Ansible compiles the code of a collection each
time.  Most mentions find their credentials in the ledger, so what talks to the server is imported only where the server is asked.
"""

from __future__ import annotations

import typing as t
import uuid

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path, name
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import leave_no_core
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import (
    NAMES,
    OPTIONS,
    drop_empty_variables,
    login_identity,
    logs_in,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import (
    LeaseRecord,
    LeaseRequest,
    LoginRecord,
    StaticRecord,
    answer,
    clock,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import Entry, Ledger

Values = dict[str, t.Any]
display = Display()
config = t.cast("t.Any", constants).config
CALLBACK = "leasehold.vault.revoke_leases"
STANDBYS = ("nodes", "wait_for_replay", "not_replayed", "login_user", "login_password")
leave_no_core()


MOUNT: Values = {
    "type": "str",
    "default": "database",
    "aliases": ["database_mount_path", "vault_database_mount_path", "mount_path", "engine_mount_point"],
    "vars": [{"name": "leasehold_mount"}],
}


def declare_options(module: str, own: Values) -> None:
    """Tell Ansible the options of a lookup, which it would otherwise read from the documentation: a second of YAML in fifty mentions.

    ``module`` is its ``__name__``, ``own`` are the options that it alone has.  A test compares all of them with the documentation.
    """
    shared = {option.name: option.definition() for option in OPTIONS}
    definitions = {"_terms": {"required": True}, **own, **shared, "mount": MOUNT}
    config.initialize_plugin_configuration_definitions("lookup", module, definitions)


class CredentialsLookup(LookupBase):
    """What both lookups share: their options, the ledger, the login, and how they fail."""

    def run(self, terms: list[str], variables: Values | None = None, **kwargs: t.Any) -> list[Values]:
        self._plugin = t.cast("t.Any", self)  # LookupBase is untyped
        self._variables = variables or {}
        drop_empty_variables()
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
            place["name"] for result in self._plugin.option_definitions.values() for place in result.get("vars") or ()
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
        try:
            return mount_path(self.option("mount"))
        except ValueError as error:
            raise Refused(f"mount: {error}") from None

    @property
    def checking(self) -> bool:
        return bool(self._variables.get("ansible_check_mode"))

    @property
    def login_options(self) -> Values:
        return {option: self.option(option) for option in NAMES}


class DynamicCredentials(CredentialsLookup):
    """The lookup ``database_credentials``."""

    def credentials(self, role: str) -> Values:
        if self.checking and not self.option("issue_in_check_mode"):
            return _placeholder(role)
        options, identity, ledger = self.login_options, login_identity(self.login_options), _ledger.of_this_run()
        at_end = self.option("revoke") == "at_end"
        if at_end:
            _warn_without_callback()
        request = LeaseRequest(
            mount=self.mount,
            role=role,
            valid_for=self.duration("valid_for"),
            renew_increment=self.duration("renew_increment"),
            revoke_at_end=at_end,
            revoke_replaced=bool(self.option("revoke_replaced")),
            standbys={option: value for option in STANDBYS if (value := self.option(option))},
        )
        whose = {"run": "", "host": str(self._variables.get("inventory_hostname", "")), "none": uuid.uuid4().hex}[
            self.option("scope")
        ]
        what = (identity, request.mount, role, self.option("scope"), whose, self.option("name") or "")
        try:
            with ledger.entry(LeaseRecord, *what) as entry:
                current = entry.record if entry.record and entry.record.credentials else None
                if current and at_end:
                    current.revoke_at_end = True
                if current and not current.standbys and request.ends_sessions:
                    current.standbys = _standbys_of(request)
                if current and current.has_enough(request):
                    return answer(current)
                return _renewed_or_issued(request, entry, ledger, identity, options)
        except Problem:
            _give_up_login(ledger, identity, options)
            raise


class StaticCredentials(CredentialsLookup):
    """The lookup ``database_static_credentials``: read once per run, and again when Vault has rotated."""

    def credentials(self, role: str) -> Values:
        if self.checking and not self.option("read_in_check_mode"):
            return _placeholder(role, static=True)
        options, identity = self.login_options, login_identity(self.login_options)
        try:
            ledger = _ledger.of_this_run()
            with ledger.entry(StaticRecord, identity, self.mount, role) as entry:
                record = entry.record
                if record is None or record.expires <= clock():
                    try:
                        record = self._read(_session_of_run(ledger, identity, options), role)
                    finally:
                        _give_up_login(ledger, identity, options)
                    entry.note(record)
        except _ledger.CannotNote as error:
            display.warning(
                f"Passwords are not remembered within this run, so that every mention reads anew: {error.why}."
            )
            record = self._read_alone(options, role)
        return answer(record)

    def _read(self, session: Session, role: str) -> StaticRecord:
        from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import read_static

        credentials = read_static(session.client, self.mount, role).credentials
        return StaticRecord(credentials, clock() + credentials["expires_in"])

    def _read_alone(self, options: Values, role: str) -> StaticRecord:
        """With a login of its own, which nobody could note."""
        from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
        from ansible_collections.leasehold.vault.plugins.plugin_utils._run.session import with_warnings

        session = with_warnings(log_in(options))
        try:
            return self._read(session, role)
        finally:
            session.log_out()


def _renewed_or_issued(
    request: LeaseRequest, entry: Entry[LeaseRecord], ledger: Ledger, identity: str, options: Values
) -> Values:
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.issue import renew_or_issue

    def connect() -> Session:
        return _session_of_run(ledger, identity, options)

    return answer(renew_or_issue(request, entry, connect, options, ledger.fingerprint(LoginRecord, identity)))


def _standbys_of(request: LeaseRequest) -> Values:
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.issue import standbys_of

    return standbys_of(request)


def _session_of_run(ledger: Ledger, identity: str, options: Values) -> Session:
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.session import session_of_run

    return session_of_run(ledger, identity, options)


def _give_up_login(ledger: Ledger, identity: str, options: Values) -> None:
    """Where the run has no end at which that would be done."""
    if not logs_in(options):
        return
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.end import run_has_end
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.session import give_up_login

    if not run_has_end():
        give_up_login(ledger, identity, options)


def _placeholder(role: str, static: bool = False) -> Values:
    from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import placeholder

    return placeholder(role, static)


def _role(term: str) -> str:
    try:
        return name(term)
    except ValueError as error:
        raise Refused(f"The role: {error}") from None


def _warn_without_callback() -> None:
    if CALLBACK not in config.get_config_value("CALLBACKS_ENABLED"):
        display.warning(
            f"revoke=at_end needs the callback {CALLBACK}, which is not enabled; add it to callbacks_enabled. Until then the users live to the "
            "end of their leases."
        )
