# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The applications of the document that leave a login behind, as arguments of ``postgresql_cutover`` and ``postgresql_ownership``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import entry_of, roles_of
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import target

Values = dict[str, t.Any]


def cutover_document(applications: list[Values], databases: list[Values], name: str = "") -> list[Values]:
    """An entry for each application that has ``cutover``; for that one alone, if a name is given."""
    found = [each for each in applications if each.get("cutover") and name in ("", each["name"])]
    if not found:
        which = f"is no application {name} with" if name else "are no applications with"
        raise AnsibleFilterError(
            f"There {which} cutover in vault_applications: say there which login it leaves behind (cutover.login)."
        )
    return [_entry(each, databases) for each in found]


def _entry(application: Values, databases: list[Values]) -> Values:
    name, cutover = application["name"], application["cutover"]
    roles = list(application.get("roles") or ())
    role: t.Any = cutover.get("role") or (roles[0] if len(roles) == 1 else None)
    if role not in roles:
        raise AnsibleFilterError(
            f"{name}: cutover.role has to name one of the roles of the application ({', '.join(roles) or 'there are none'}), whose users replace "
            f"the login, not {role!r}."
        )
    database = entry_of(role, databases)
    if database is None:
        raise AnsibleFilterError(f"{name}: no entry of vault_databases has the role {role}.")
    group = roles_of(database)[role].get("in_role")
    if not group:
        raise AnsibleFilterError(
            f"{name}: the role {role} has statements of its own and no in_role, so that nobody knows the group of its users."
        )
    return {
        "name": name,
        "login": cutover["login"],
        "group": group,
        "accept": list(cutover.get("accept") or ()),
        "owner": database.get("owner") or "",
        "entry": database["name"],
        **server_of(database),
    }


def database_servers(databases: list[Values]) -> list[Values]:
    """For each entry its database and owner, and how a DBA reaches it."""
    return [{"name": each["name"], "owner": each.get("owner") or "", **server_of(each)} for each in databases]


def server_of(database: Values) -> Values:
    """The options ``login_*`` of modules that talk to PostgreSQL, but for who logs in."""
    try:
        found = target(database, "")
    except ValueError as error:
        raise AnsibleFilterError(f"{database.get('name')}: {error}.") from None
    several = len(found.addresses) > 1
    hosts = ",".join(
        f"[{each.host}]:{each.port}" if each.is_ipv6 else f"{each.host}:{each.port}" for each in found.addresses
    )
    return {
        "database": database.get("database") or found.database,
        "host": hosts if several else found.addresses[0].host,
        "port": "" if several else found.addresses[0].port,
        "sslmode": found.parameters.get("sslmode") or "",
        **{key: database.get(key) or "" for key in ("ca_cert", "client_cert", "client_key")},
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cutover_document": cutover_document, "database_servers": database_servers}
