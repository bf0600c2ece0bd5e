# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.


"""The databases of the document (``vault_databases``), as the arguments of ``database_sync``."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlencode

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import postgresql_password
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import join_parameters, url_parts
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import roles_of
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import target_for_vault

Values = dict[str, t.Any]


def database_document(
    databases: list[Values], functions: Values | None = None, verify: str = "none"
) -> dict[str, list[Values]]:
    """``{"connections": […], "roles": […], "static_roles": […]}`` for the entries of ``vault_databases``."""
    document: dict[str, list[Values]] = {"connections": [], "roles": [], "static_roles": []}
    for database in databases:
        connection = _of(database, "name", "an entry of vault_databases")
        chosen = (functions or {}).get(connection)
        made_by = database.get("functions") or (chosen is not None and ("leasehold" if chosen else "none"))
        roles = roles_of(database)
        static_roles = {name: role or {} for name, role in (database.get("static_roles") or {}).items()}
        document["connections"].append(_connection(database, connection, [*roles, *static_roles]))
        document["roles"].extend(
            {
                "verify": verify,
                **_login(database),
                **({"functions": made_by} if made_by and "in_role" in role else {}),
                **role,
                "name": name,
                "db_name": connection,
            }
            for name, role in roles.items()
        )
        if made_by == "leasehold":
            _refuse_what_the_functions_cannot(connection, static_roles)
        document["static_roles"].extend(
            {**role, "name": name, "db_name": connection} for name, role in static_roles.items()
        )
    return document


def _refuse_what_the_functions_cannot(connection: str, static_roles: Values) -> None:
    """Vault sets the passwords of static roles as the admin role, which has no CREATEROLE then."""
    lost = [
        name for name, role in static_roles.items()
        if not role.get("rotation_statements") and not role.get("self_managed_password")
    ]  # fmt: skip
    if lost:
        raise AnsibleFilterError(
            f"{connection}: static_roles {', '.join(lost)}: users are made by functions there (the default on PostgreSQL 15 and older), and the admin role "
            "has no CREATEROLE, so that Vault could not set these passwords. Write functions: none in this entry, or give static_roles an entry of "
            "their own for this database, with another admin role and functions: none."
        )


def _connection(database: Values, name: str, roles: list[str]) -> Values:
    admin = _of(database, "admin", name)
    given: Values = {
        "name": name,
        "connection_url": database.get("connection_url") or _url(database, name),
        "username": _of(admin, "username", f"{name}: admin"),
        "password": _password(admin, name),
        "allowed_roles": roles,
        **(database.get("options") or {}),
    }
    return {key: value for key, value in given.items() if value is not None}


def _password(admin: Values, name: str) -> str | None:
    if not admin.get("password"):
        return None
    try:
        postgresql_password(admin["password"])
    except ValueError as error:
        raise AnsibleFilterError(f"{name}: admin.password: {error}.") from None
    return t.cast("str", admin["password"])


def _url(database: Values, name: str) -> str:
    """The names in braces are Vault's to fill in."""
    _of(database, "host", name)
    try:
        addresses, dbname, parameters = target_for_vault({**database, "database": _of(database, "database", name)})
    except ValueError as error:
        raise AnsibleFilterError(f"{name}: {error}.") from None
    authority, hosts = url_parts(addresses)
    query = join_parameters(hosts, urlencode(parameters, quote_via=quote, safe="/"))
    return f"postgresql://{{{{username}}}}:{{{{password}}}}@{authority}/{quote(dbname, safe='')}{query}"


def _login(database: Values) -> Values:
    """Where the database is as seen from here, for trying roles."""
    login = {"ca_cert": database.get("ca_cert"), **(database.get("login") or {})}
    return {f"login_{key}": login[key] for key in ("host", "port", "ca_cert") if login.get(key)}


def _of(entry: Values, key: str, where: str) -> t.Any:
    value = entry.get(key)
    if not value:
        raise AnsibleFilterError(f"{where}: {key} is missing.")
    return value
