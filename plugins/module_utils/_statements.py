# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""SQL that really ends what it began, and the checks for SQL that does not.

The reasons are measurements on PostgreSQL 15 and 18: a role that is only a member of a group can be issued in constant
time and dropped without rights on any table; a revocation that does not end sessions, keep objects and tolerate a missing
role strands its lease for good; and the server splits whatever it is given at every ``;`` unless told otherwise.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._errors import Refused

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import Values

OWNED = ("creation_statements", "revocation_statements", "renew_statements", "rollback_statements")
OPTIONS: Values = {
    "in_role": {"type": "str"},
    "reassign_owned_to": {"type": "str"},
    "revocation": {"type": "str", "choices": ["strict", "parking"]},
    "set_role": {"type": "bool"},
    "functions": {"type": "str", "choices": ["none", "leasehold"]},
}

_REVOCATION = """\
DO {tag}
DECLARE
  pids int[];
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{{{name}}}}') THEN
    RETURN;
  END IF;
  GRANT "{{{{name}}}}" TO CURRENT_USER;
  pids := ARRAY(SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename = '{{{{name}}}}');
  PERFORM pg_catalog.pg_terminate_backend(p) FROM pg_catalog.unnest(pids) AS p;
  FOR i IN 1..500 LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE usename = '{{{{name}}}}' AND pid = ANY (pids));
    PERFORM pg_catalog.pg_sleep(0.01);
  END LOOP;
  PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = '{{{{name}}}}';
  REASSIGN OWNED BY "{{{{name}}}}" TO {owner};
  DROP OWNED BY "{{{{name}}}}";
{drop}
END
{tag}"""

_DROP = {
    "strict": """  DROP ROLE "{{name}}";""",
    "parking": """\
  BEGIN
    DROP ROLE "{{name}}";
  EXCEPTION WHEN dependent_objects_still_exist THEN
    REVOKE %(group)s FROM "{{name}}";
    ALTER ROLE "{{name}}" NOLOGIN PASSWORD NULL VALID UNTIL '-infinity';
    COMMENT ON ROLE "{{name}}" IS 'leasehold: parked, owns objects in another database';
  END;""",
}


def expand(wanted: Values) -> Values:
    """Write out ``in_role`` and its companions as the four statement lists of a Vault role."""
    group = wanted.get("in_role")
    said = {option: wanted.get(option) for option in OPTIONS}
    if group is None:
        companions = sorted(option for option in OPTIONS if said[option] is not None)
        if companions and any(said[option] not in (None, False) for option in companions):
            raise Refused(
                f"{', '.join(companions)} shape the statements that in_role writes; name the group role in in_role too."
            )
        return wanted
    double = [option for option in OWNED if wanted.get(option) is not None]
    if double:
        raise Refused(f"in_role writes {', '.join(double)} itself; give either in_role or your own statements.")
    owner = said["reassign_owned_to"] or group
    if said["functions"] == "leasehold":
        if said["set_role"] or said["revocation"] == "parking":
            raise Refused(
                "functions: leasehold has its statements in the database; set_role and revocation: parking need functions: none."
            )
        written = {
            "creation_statements": [
                f"SELECT leasehold.issue('{{{{name}}}}', '{{{{password}}}}', '{{{{expiration}}}}', {literal(group)})"
            ],
            "renew_statements": ["SELECT leasehold.renew('{{name}}', '{{expiration}}')"],
            "revocation_statements": [f"SELECT leasehold.revoke('{{{{name}}}}', {literal(owner)})"],
        }
    else:
        creation = [
            f"CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' IN ROLE {identifier(group)}"
        ]
        if said["set_role"]:
            creation.append(f'ALTER ROLE "{{{{name}}}}" SET role TO {identifier(group)}')
        written = {
            "creation_statements": creation,
            "renew_statements": [],
            "revocation_statements": [revocation(group, owner, said["revocation"] or "strict")],
        }
    return {**wanted, **written, "rollback_statements": []}


def revocation(group: str, owner: str, manner: str = "strict", user: str = "") -> str:
    """One guarded block: ends sessions, keeps objects, and is content when the role is already gone."""
    tag = "$do$"
    while tag in identifier(owner) + identifier(group) + user:
        tag = f"${tag[1:-1]}_$"
    drop = _DROP[manner]
    drop = drop % {"group": identifier(group)} if "%(" in drop else drop
    return _REVOCATION.format(tag=tag, owner=identifier(owner), drop=drop)


def removal(user: str, heir: str) -> str:
    """The same block, for one user that is there."""
    block = revocation(heir, heir, user=user)
    return block.replace("'{{name}}'", literal(user)).replace('"{{name}}"', identifier(user))


def handed_over(user: str, heir: str) -> str:
    """What the block does not reach: the user's objects in another database, where this is run."""
    return f"REASSIGN OWNED BY {identifier(user)} TO {identifier(heir)}; DROP OWNED BY {identifier(user)}"


def heirs_in(revocation_statements: t.Sequence[str]) -> list[str]:
    """The roles that revocation statements give a user's objects to."""
    return _names(
        r"""REASSIGN OWNED BY "\{\{name\}\}" TO "((?:[^"]|"")+)"|leasehold\.revoke\(.*, '((?:[^']|'')+)'\)""",
        revocation_statements,
    )


def groups_in(creation: t.Sequence[str]) -> list[str]:
    """The group roles that creation statements may have been written for."""
    return _names(r"""IN ROLE "((?:[^"]|"")+)"|leasehold\.issue\(.*, '((?:[^']|'')+)'\)""", creation)


def _names(pattern: str, statements: t.Sequence[str]) -> list[str]:
    found = re.findall(pattern, " ".join(statements))
    return [quoted.replace('""', '"') or literal_.replace("''", "'") for quoted, literal_ in found]


def identifier(name: str) -> str:
    return '"{}"'.format(_postgresql_name(name).replace('"', '""'))


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
