# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Creation and revocation SQL that leaves nothing behind, and checks for SQL that does.

The reasons are measurements on PostgreSQL 15 and 18: a role that is only a member of a group can be issued in constant
time and dropped without rights on any table; a revocation that does not end sessions, keep objects and tolerate a missing
role leaves a lease that can never be revoked; and the server splits whatever it is given at every ``;`` unless a statement is encoded.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core import user_sql as _sql
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

OWNED = ("creation_statements", "revocation_statements", "renew_statements", "rollback_statements")
OPTIONS: Values = {
    "in_role": {"type": "str"},
    "reassign_owned_to": {"type": "str"},
    "revocation": {"type": "str", "choices": ["strict", "parking"]},
    "set_role": {"type": "bool"},
    "functions": {"type": "str", "choices": ["none", "leasehold"]},
}


def expand(desired: Values) -> Values:
    """Write out ``in_role`` and its companions as the four statement lists of a Vault role."""
    group = desired.get("in_role")
    given = {option: desired.get(option) for option in OPTIONS}
    if group is None:
        companions = sorted(option for option in OPTIONS if given[option] is not None)
        if companions and any(given[option] not in (None, False) for option in companions):
            raise Refused(
                f"{', '.join(companions)} shape the statements that in_role writes; name the group role in in_role too."
            )
        return desired
    double = [option for option in OWNED if desired.get(option) is not None]
    if double:
        raise Refused(f"in_role writes {', '.join(double)} itself; give either in_role or your own statements.")
    heir, strict = given["reassign_owned_to"] or group, given["revocation"] == "strict"
    if given["functions"] == "leasehold":
        if given["set_role"]:
            raise Refused("functions: leasehold has its statements in the database; set_role needs functions: none.")
        written = {
            "creation_statements": [
                f"SELECT leasehold.issue({_sql.NAME}, {_sql.PASSWORD}, {_sql.EXPIRATION}, {literal(group)})"
            ],
            "renew_statements": [f"SELECT leasehold.renew({_sql.NAME}, {_sql.EXPIRATION})"],
            "revocation_statements": [
                _sql.end_access_by_function(),
                _sql.COMMIT,
                f"SELECT leasehold.revoke({_sql.NAME}, {literal(heir)}{', true' if strict else ''})",
            ],
        }
    else:
        written = {
            "creation_statements": [_sql.creation(literal(group), bool(given["set_role"]))],
            "renew_statements": [_sql.renewal()],
            "revocation_statements": [_sql.end_access(), _sql.COMMIT, _sql.removal(literal(heir), strict)],
        }
    return {**desired, **written, "rollback_statements": []}


def removal(user: str, heir: str) -> str:
    """The whole revocation of one user, run by the DBA and not by Vault (the playbook ``clean_orphans``)."""
    return _sql.revocation(literal(heir), True, _sql.quoted(user))


def handed_over(user: str, heir: str) -> str:
    """What the block does not reach: the user's objects in another database, where this is run."""
    return _sql.hand_over(literal(heir), _sql.quoted(user))


def granted_with_admin(user: str, admin: str) -> str:
    """Let an admin role that did not make a user end it (PostgreSQL 16 and later), without acting as the user."""
    return f"GRANT {_sql_name(user)} TO {_sql_name(admin)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE"


def heirs_in(revocation_statements: t.Sequence[str]) -> list[str]:
    """The roles that revocation statements of this collection, of this version or 1.0.0, give a user's objects to."""
    return _names(
        r"""heir name := '((?:[^']|'')+)';|leasehold\.revoke\(.*, '((?:[^']|'')+)'(?:, true)?\)"""
        r"""|REASSIGN OWNED BY "\{\{name\}\}" TO "((?:[^"]|"")+)\"""",
        revocation_statements,
    )


def groups_in(creation: t.Sequence[str]) -> list[str]:
    """The group roles that creation statements may have been written for."""
    return _names(
        r"""in_role name := '((?:[^']|'')+)';|leasehold\.issue\(.*, '((?:[^']|'')+)'\)|IN ROLE "((?:[^"]|"")+)\"""",
        creation,
    )


def shorthands(current: Values) -> t.Iterator[Values]:
    """``in_role`` and its companions, where these statements are the ones they write."""
    groups, heirs = groups_in(current["creation_statements"]), heirs_in(current["revocation_statements"])
    for group, heir in zip(groups, heirs):
        for reconcile_options in ({}, {"revocation": "strict"}):
            for how in ({}, {"set_role": True}, {"functions": "leasehold"}):
                shorthand = {
                    "in_role": group,
                    **({"reassign_owned_to": heir} if heir != group else {}),
                    **reconcile_options,
                    **how,
                }
                written = expand(shorthand)
                if all(written[option] == current[option] for option in OWNED):
                    yield shorthand


def _names(pattern: str, statements: t.Sequence[str]) -> list[str]:
    found = re.findall(pattern, "\n".join(statements))
    return [(one or two).replace("''", "'") or quoted.replace('""', '"') for one, two, quoted in found]


def _sql_name(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def literal(name: str) -> str:
    return "'{}'".format(_postgresql_name(name).replace("'", "''"))


def _postgresql_name(name: str) -> str:
    """A role's name as PostgreSQL takes it, and as Vault's text replacement leaves it alone."""
    if not name or len(name.encode()) > 63:
        raise Refused(f"{name!r} cannot be the name of a PostgreSQL role: it must have 1 to 63 bytes.")
    if "{{" in name or "\\" in name or any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise Refused(
            f"{name!r} cannot be used as the name of a PostgreSQL role here: it holds '{{{{', a backslash or a control character."
        )
    return name


def readable(value: t.Any) -> list[str]:
    """Statements as people read them: a list of stripped SQL, encoded elements decoded."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError("statements are one string of SQL or a list of strings")
    decoded: list[str] = []
    for element in value:
        decoded.extend(_decoded(element.strip()))
    return [statement.strip() for statement in decoded if statement.strip()]


def sendable(statements: t.Sequence[str]) -> list[str]:
    """The same statements in a form the server executes as written.

    It cuts every element at each ``;``, whatever stands around it.  Where that would hurt, the element travels as base64 of a
    JSON array, which all versions decode before they execute, and give back verbatim.
    """
    return [encoded(statement) if _cut_in_the_middle(statement) else statement for statement in statements]


def encoded(statement: str) -> str:
    return base64.b64encode(json.dumps([statement]).encode()).decode()


def _decoded(element: str) -> list[str]:
    candidate = element
    if re.fullmatch(r"[A-Za-z0-9+/]{8,}={0,2}", element):
        try:
            candidate = base64.b64decode(element, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return [element]
    if candidate.startswith("["):
        try:
            inner = json.loads(candidate)
        except ValueError:
            return [element]
        if isinstance(inner, list) and all(isinstance(item, str) for item in inner):
            return inner
    return [element]


def _cut_in_the_middle(statement: str) -> bool:
    return statement.count(";") != bare(statement).count(";")


def bare(statement: str) -> str:
    """SQL without its literals, quoted names, dollar-quoted bodies and comments."""
    return _QUOTED.sub("", statement)


_QUOTED = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
