# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Trying a role out: issue one user, (log in, look at its rights), revoke it.  Finds at deploy time what would later leave leases that can never be revoked."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import signals_deferred
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Diagnostic
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    Address,
    libpq_parameters,
    parse_addresses,
    parse_url,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Plan, Server, Values

OPTIONS: Values = {
    "verify": {"type": "str", "choices": ["none", "issue", "login"], "default": "none"},
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_ca_cert": {"type": "path"},
}

_GRANT = re.compile(
    r"\bGRANT\s+(?P<rights>[\w\s,]+?)\s+ON\s+(?:ALL\s+(?P<all>TABLES|SEQUENCES)\s+IN\s+SCHEMA\s+(?P<schemas>[^;]+?)"
    r"|(?P<one>TABLE\s+|SEQUENCE\s+)?(?P<objects>[^;]+?))\s+TO\s+\"?\{\{",
    re.IGNORECASE,
)
_RIGHTS = {"TABLE": "SELECT, INSERT, UPDATE, DELETE", "SEQUENCE": "USAGE, SELECT, UPDATE"}
_IN_SCHEMA = {"TABLE": "'r', 'p', 'v', 'm', 'f'", "SEQUENCE": "'S'"}


def verify(server: Server, desired: Values, plan: Plan) -> t.Iterable[Diagnostic]:
    """``verify: issue`` and ``verify: login`` of ``database_role``; raises what a user of the role would have run into."""
    how = desired.get("verify") or "none"
    if how == "none":
        return ()
    mount, role = desired["mount"].strip("/"), desired["name"]
    with signals_deferred():
        try:
            answer = server.ask(
                "get", f"{mount}/creds/{role}", kind="issue", needs=("username", "password", "lease_id")
            )
        except Problem as error:
            raise Problem(
                f"The role {role} was rolled back, because verify found that it cannot issue a user. {error}"
            ) from None
        try:
            trouble = _login_trouble(server, desired, plan, answer["data"]) if how == "login" else ""
        finally:
            _revoke(server, role, answer)
    if trouble:
        raise Problem(f"The role {role} was rolled back, because verify found that its users cannot work: {trouble}")
    return [Diagnostic(warning) for warning in answer.get("warnings") or []]


def _revoke(server: Server, role: str, answer: Values) -> None:
    try:
        server.ask("put", "sys/leases/revoke", {"lease_id": answer["lease_id"]})
    except Problem as error:
        raise Problem(
            f"The role {role} was rolled back, because verify found that its users cannot be revoked. {error} Fix revocation_statements, then "
            f"revoke the lease {answer['lease_id']}; the user {answer['data']['username']} stays in the database until then."
        ) from None


def _login_trouble(server: Server, desired: Values, plan: Plan, user: Values) -> str:
    import psycopg2

    mount = desired["mount"].strip("/")
    connection = server.read(f"{mount}/config/{plan.after['db_name']}") or {}
    where = where_to_log_in(connection.get("connection_details", {}).get("connection_url", ""), desired)
    try:
        session = psycopg2.connect(user=user["username"], password=user["password"], connect_timeout=10, **where)
    except psycopg2.Error as error:
        return f"logging in to {where.get('host')} failed: {' '.join(str(error).split())} (login_host, login_port and login_ca_cert say where from here)"
    try:
        with session.cursor() as cursor:
            missing = _missing_rights(cursor, desired, plan)
    except psycopg2.Error as error:
        return f"looking at its rights failed: {' '.join(str(error).split())}"
    finally:
        session.close()
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return (
            f"the user lacks {'; '.join(missing[:3])}{more}. PostgreSQL only warns when the admin grants what it holds without grant "
            "option; grant it WITH GRANT OPTION, or grant to a group role once and use in_role."
        )
    return ""


def where_to_log_in(connection_url: str, desired: Values) -> Values:
    """libpq's connection parameters for the database of a connection, as seen from here: ``login_*`` options win over the URL."""
    try:
        url = parse_url(connection_url)
        addresses = url.addresses
        if desired.get("login_host"):
            addresses = parse_addresses(desired["login_host"], desired.get("login_port") or addresses[0].port)
        elif desired.get("login_port"):
            addresses = [Address(address.host, str(desired["login_port"])) for address in addresses]
    except ValueError as error:
        raise Problem(f"Where to log in is not known: {error}.") from None
    where = {
        **libpq_parameters(addresses),
        "dbname": url.database or "postgres",
        "sslmode": url.parameters.get("sslmode", "prefer"),
        "sslrootcert": desired.get("login_ca_cert") or url.parameters.get("sslrootcert"),
        "sslcert": desired.get("login_client_cert"),
        "sslkey": desired.get("login_client_key"),
        "target_session_attrs": url.parameters.get("target_session_attrs"),
    }
    return {key: value for key, value in where.items() if value}


def _missing_rights(cursor: t.Any, desired: Values, plan: Plan) -> list[str]:
    if desired.get("in_role"):
        cursor.execute("SELECT pg_catalog.pg_has_role(current_user, %s, 'USAGE')", (desired["in_role"],))
        return [] if cursor.fetchone()[0] else [f"membership in {desired['in_role']}"]
    missing: list[str] = []
    for statement in plan.after.get("creation_statements") or []:
        for grant in _GRANT.finditer(statement):
            missing.extend(_missing_of(cursor, grant))
    return missing


def _missing_of(cursor: t.Any, grant: t.Any) -> list[str]:
    """The rights of one GRANT that the user does not have; other kinds of GRANT are not looked at."""
    kind = (grant["all"] or grant["one"] or "TABLE").strip().upper().rstrip("S")
    objects = grant["objects"] or ""
    if not grant["all"] and re.match(
        r"(SCHEMA|DATABASE|FUNCTION|ALL|LANGUAGE|TYPE|DOMAIN|LARGE)\b", objects, re.IGNORECASE
    ):
        return []
    rights = grant["rights"].upper()
    rights = _RIGHTS[kind] if rights.startswith("ALL") else rights
    if grant["all"]:
        schemas = [part.strip() for part in grant["schemas"].split(",")]
        cursor.execute(
            "SELECT c.oid, c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.relnamespace = ANY (%s::regnamespace[])"
            f" AND c.relkind IN ({_IN_SCHEMA[kind]}) ORDER BY 2",
            (schemas,),
        )
    else:
        cursor.execute(
            "SELECT o::regclass::oid, o FROM unnest(%s) AS o", ([part.strip() for part in objects.split(",")],)
        )
    missing = []
    for oid, shown in cursor.fetchall():
        for right in (part.strip() for part in rights.split(",")):
            cursor.execute(f"SELECT pg_catalog.has_{kind.lower()}_privilege(current_user, %s::oid, %s)", (oid, right))
            if not cursor.fetchone()[0]:
                missing.append(f"{right} on {shown}")
    return missing
