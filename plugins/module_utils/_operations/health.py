# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Whether a connection still works: Vault's login, its admin role, its leases and their users.  Nothing is written anywhere.

Vault is asked for its login by ``POST <mount>/reset/<name>``: it closes its connections to the database and logs in anew; no object in
Vault or in PostgreSQL changes.  Measured on OpenBao 2.7 and PostgreSQL 18: 200, or 500 with the SQLSTATE of the refusal.  Newer Vaults do not
log in then on a connection that was written with ``verify_connection: false``, so of such a one nothing is known.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core import statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.differences import DIFFERS, UNKNOWN, Difference
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import look_up
from ansible_collections.leasehold.vault.plugins.module_utils._operations.orphans import (
    DEFINER,
    User,
    connection_of,
    families,
    log_in,
    owner_instead,
    pair,
    read_roles,
    survey,
    told_orphans,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.root_rotation import reset
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import holds_credentials
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values
    from ansible_collections.leasehold.vault.plugins.module_utils._operations.orphans import Ask, Survey
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

OK, REFUSED = "ok", "refused"
ASPECTS = ("login", "admin", "users")

_ADMIN = """
SELECT u.rolcanlogin AS can_login, u.rolsuper AS superuser, u.rolcreaterole AS create_role,
       u.rolvaliduntil <= now() AS expired, u.rolvaliduntil::text AS valid_until,
       ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members AS b JOIN pg_catalog.pg_roles AS g ON g.oid = b.roleid
              WHERE b.member = u.oid AND b.admin_option) AS hands_out,
       current_setting('server_version_num')::int >= 160000 AS hands_out_by_option,
       pg_catalog.to_regprocedure('leasehold.issue(text, text, timestamptz, text)') IS NOT NULL AS functions
  FROM pg_catalog.pg_roles AS u WHERE u.rolname = %s"""
_SESSIONS = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename = %s"
_MISSING = "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) ORDER BY 1"

NEW_PASSWORD = "the playbook leasehold.vault.site replaces the password and rotates it, with the DBA's login"
_ANOTHER_TIME = (
    "the server was restored to a moment before it was made, or the address the DBA connects to is another server"
)
REPAIR = "the playbook leasehold.vault.site repairs it, with the DBA's login"


class Causes(t.NamedTuple):
    """What is wrong with the admin role, as the database shows it."""

    refusing: list[str]
    """Why it cannot log in."""
    lacking: list[str]
    """What it lacks once it is logged in."""
    looked: bool = True


def read_health(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_health_info``."""
    client = session.client
    current = connection_of(client, desired)
    login, trouble = _ask_for_login(client, desired, current) if "login" in desired["look"] else ("", "")
    answer: Values = {
        "changed": False,
        "login": login,
        "orphans": [],
        "removal": [],
        "userless_leases": [],
        "repair": [],
    }
    causes, differences = _look_inside(client, desired, current, answer)
    if holds_credentials(str((current.get("connection_details") or {}).get("connection_url") or "")):
        causes.lacking.append(
            "its connection_url holds a name or a password itself, so Vault logs in with that one and would rotate another"
        )
    differences = [*_of_login(str(desired["name"]), login, trouble, causes), *differences]
    return {**answer, "differences": [dataclasses.asdict(each) for each in differences], "warnings": []}


def _look_inside(client: Client, desired: Values, current: Values, answer: Values) -> tuple[Causes, list[Difference]]:
    name, inside = str(desired["name"]), [aspect for aspect in ("admin", "users") if aspect in desired["look"]]
    unseen = f"its {' and '.join(inside)} could not be looked at"
    if not inside:
        return Causes([], [], looked=False), []
    if not desired.get("login_user"):
        return Causes([], [], looked=False), [Difference("connections", name, UNKNOWN, unseen, "give the DBA's login")]
    causes, differences = Causes([], [], looked="admin" in inside), []
    try:
        with log_in(current, desired) as (ask, where):
            answer["looked_at"] = where
            if "admin" in inside:
                causes = _admin(client, desired, current, ask)
            if "users" in inside:
                differences = list(_users(client, desired, current, ask, where, answer))
    except Problem as problem:
        if re.search(r'database "[^"]*" does not exist', str(problem)):
            return Causes([f"the database does not exist on this server: {_ANOTHER_TIME}"], []), []
        return Causes([], [], looked=False), [Difference("connections", name, UNKNOWN, f"{unseen}: {problem}")]
    return causes, differences


# -- Vault's login --------------------------------------------------------------------------------------------------------


def _ask_for_login(client: Client, desired: Values, current: Values) -> tuple[str, str]:
    """``ok``, ``refused`` or ``unknown``, and the server's error."""
    if current.get("verify_connection") is False and client.identity.product != "openbao":
        return (
            UNKNOWN,
            "it was written with verify_connection: false, and this server does not log in then; write it with true",
        )
    try:
        reset(client, desired)
    except VaultError as error:
        return (REFUSED if error.refused_by_database else UNKNOWN), str(error)
    except Forbidden as forbidden:
        return UNKNOWN, str(forbidden)
    return OK, ""


def _of_login(name: str, login: str, trouble: str, causes: Causes) -> Iterator[Difference]:
    """One line for Vault's login and the admin role, which explains it."""
    if login == UNKNOWN:
        yield Difference("connections", name, UNKNOWN, f"whether Vault can log in could not be found out: {trouble}")
    if login == REFUSED:
        why = causes.refusing or [
            "the server has another password than Vault: one of them was restored, a fail-over lost the last rotation, or somebody changed it"
            if causes.looked
            else f"{trouble} (with the DBA's login the cause would be named here)"
        ]
        yield Difference(
            "connections", name, DIFFERS, f"Vault cannot log in: {'; '.join([*why, *causes.lacking])}", NEW_PASSWORD
        )
    elif causes.refusing or causes.lacking:
        yield Difference("connections", name, DIFFERS, "; ".join([*causes.refusing, *causes.lacking]), REPAIR)


# -- the admin role -------------------------------------------------------------------------------------------------------


def _admin(client: Client, desired: Values, current: Values, ask: Ask) -> Causes:
    """Compare the admin role with what issuing and revoking takes."""
    user = str(current.get("connection_details", {}).get("username") or "")
    rows = ask(_ADMIN, user)
    creation = [
        statement
        for role in read_roles(client, desired).values()
        if role.get("db_name") == desired["name"]
        for statement in role["creation_statements"]
    ]
    groups = sorted(set(statements.groups_in(creation)))
    absent = [row["name"] for row in ask(_MISSING, groups)]
    lacks = [f"the group role {group} does not exist" for group in absent]
    if not rows:
        return Causes(
            [f"the admin role {user} does not exist on this server: it was dropped or renamed, {_ANOTHER_TIME}"], lacks
        )
    refusing = [] if rows[0]["can_login"] else [f"the admin role {user} may not log in (NOLOGIN)"]
    if rows[0]["expired"]:
        refusing.append(f"the admin role {user} has expired (VALID UNTIL {rows[0]['valid_until']})")
    present = [group for group in groups if group not in absent]
    return Causes(refusing, [*_lacking(user, rows[0], creation, present), *lacks])


def _lacking(user: str, row: Values, creation: list[str], groups: list[str]) -> Iterator[str]:
    by_functions = any("leasehold.issue(" in statement for statement in creation)
    if by_functions and not row["functions"]:
        yield "the functions that make the users do not exist (schema leasehold)"
    by_itself = any("leasehold.issue(" not in statement for statement in creation)
    if by_itself and not (row["superuser"] or row["create_role"]):
        yield f"the admin role {user} may make no users (it lacks CREATEROLE)"
    if not by_functions and row["hands_out_by_option"] and not row["superuser"]:
        for group in groups:
            if group not in row["hands_out"]:
                yield f"the admin role {user} may not hand out the group {group} (it lacks ADMIN OPTION)"


# -- leases and users -----------------------------------------------------------------------------------------------------


def _users(
    client: Client, desired: Values, current: Values, ask: Ask, where: Values, answer: Values
) -> Iterator[Difference]:
    name, youngest = desired["name"], seconds_of("min_age", desired["min_age"])
    found = survey(client, desired, current, ask, where, every_lease=True)
    answer |= told_orphans(found, youngest)
    if found.view.doubt:
        yield Difference(
            "connections",
            name,
            UNKNOWN,
            f"whether users and leases belong together could not be looked at: {found.view.doubt}",
        )
        return
    for orphan in answer["orphans"]:
        if orphan["why"].startswith("It was made less than"):
            continue  # no time has passed in which its lease could have been seen
        yield Difference(
            "users", orphan["username"], UNKNOWN if orphan["certainty"] == UNKNOWN else DIFFERS, f"it has no lease. {orphan['why']}",
            "the playbook leasehold.vault.clean_orphans removes it",
        )  # fmt: skip
    yield from _unrevocable(found, answer)
    looked_at_it = functools.lru_cache(lambda: _is_the_server_of_vault(client, desired, str(found.view.admin), ask))
    yield from _userless(client, desired, found, youngest, answer, looked_at_it)
    if found.beside["sessions"]:
        yield Difference(
            "sessions", where["dbname"], DIFFERS, f"{found.beside['sessions']} session(s) belong to users that are gone",
            "the playbooks leasehold.vault.clean_orphans and leasehold.vault.revoke end them",
        )  # fmt: skip


def _unrevocable(found: Survey, answer: Values) -> Iterator[Difference]:
    """Users with a lease that the present admin role did not make, from PostgreSQL 16 on: it was dropped or renamed since."""
    if not found.view.tells_maker or found.view.admin_is_superuser:
        return
    free = [lease for lease in found.leases if lease.user is None]
    families(found.foreign, free)
    pair(found.foreign, free)
    admin = found.view.admin
    for user in [*found.users, *found.foreign]:
        if user.lease is None or user.sure or DEFINER in user.row["makers"]:
            continue
        if not user.lease.is_certainly_of(user):
            yield Difference(
                "users", user.name, UNKNOWN, f"{_maker(user)} made it, and it is not certain that the lease {user.lease.lease_id} holds it",
                f"if it is an application's, give the admin role {admin} ADMIN OPTION on it, so that its revocation does not fail",
            )  # fmt: skip
            continue
        answer["repair"].append(statements.granted_with_admin(user.name, str(admin)))
        yield Difference(
            "users", user.name, DIFFERS, f"the admin role {admin} cannot revoke it, because {_maker(user)} made it",
            "the playbook leasehold.vault.site gives it ADMIN OPTION on the user, with the DBA's login",
        )  # fmt: skip


def _maker(user: User) -> str:
    return " and ".join(user.row["makers"]) or "a role that is gone"


def _is_the_server_of_vault(client: Client, desired: Values, admin: str, ask: Ask) -> bool:
    """Whether a login of Vault is seen where this looked: the address the DBA connects to may be a clone, or the server before a fail-over."""
    before = {row["pid"] for row in ask(_SESSIONS, admin)}
    try:
        reset(client, desired)
    except Problem:
        return False
    return not {row["pid"] for row in ask(_SESSIONS, admin)} <= before


def _userless(
    client: Client, desired: Values, found: Survey, youngest: int, answer: Values, looked_at_it: t.Callable[[], bool]
) -> Iterable[Difference]:
    """Leases whose users are not there.  Certain only at Vault's own server, and where no user is left over that might be theirs.

    The names were read after the leases: whose lease was seen was there by then.
    """
    prefix, here = f"{MOUNT.desired_value(desired)}/creds/", set(found.view.here)
    paired = {user.name for user in [*found.users, *found.foreign] if user.lease}
    free = found.names - paired
    for lease in found.leases:
        if lease.user or lease.role not in here or not lease.lease_id.startswith(prefix):
            continue
        if lease.ends <= found.view.now or look_up(client, lease.lease_id) is None:
            continue
        if found.view.now - lease.issued < youngest:
            continue
        if not looked_at_it():
            yield Difference(
                "leases", lease.lease_id, UNKNOWN, "its user does not exist where this looked, and no login of Vault was seen there after a reset of the "
                "connection: it may be another server than Vault's",
                "look at the server that Vault uses (login_host, login_port), and see that Vault can log in there without a pooler between",
            )  # fmt: skip
            continue
        like = next((name for name in sorted(free) if found.view.is_of(name, lease.role)), None)
        if like:
            yield Difference(
                "leases", lease.lease_id, UNKNOWN, f"it is not certain whether it has a user; it may be {like}"
            )
            continue
        instead = owner_instead(lease, [*found.users, *found.foreign])
        if instead and instead.lease:
            yield Difference(
                "leases", lease.lease_id, DIFFERS, f"either its user or that of {instead.lease.lease_id} does not exist; both were issued at the same time",
                "revoke both with leasehold.vault.lease, or wait for their ends",
            )  # fmt: skip
            continue
        answer["userless_leases"].append(lease.lease_id)
        yield Difference(
            "leases", lease.lease_id, DIFFERS, "its user does not exist: the server was restored to a moment before the user was made, or it was dropped",
            "the playbook leasehold.vault.site ends the lease, with the DBA's login, so that whoever holds it asks for a new user",
        )  # fmt: skip
