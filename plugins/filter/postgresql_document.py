# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of the document (``vault_databases``), as the entries of ``postgresql_sync``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import libpq_parameters
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import roles_of
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import target

Values = t.Mapping[str, t.Any]
AS_THEY_ARE = (
    "name", "ca_cert", "client_cert", "client_key", "database", "owner", "admin", "groups", "users", "creators", "connect",
    "functions",
)  # fmt: skip


def postgresql_document(databases: t.Sequence[Values]) -> list[dict[str, t.Any]]:
    """For each entry what concerns PostgreSQL."""
    return [_entry(database) for database in databases]


def _entry(database: Values) -> dict[str, t.Any]:
    try:
        found = target(database, "")
    except ValueError as error:
        raise AnsibleFilterError(f"{database.get('name')}: {error}.") from None
    roles = roles_of(database).values()
    heirs = {role["reassign_owned_to"] for role in roles if role.get("reassign_owned_to")}
    migrations = bool(database.get("migrations") and database.get("owner"))
    heirs |= {database["owner"]} if migrations else set()
    entry = {
        **{key: database.get(key) for key in AS_THEY_ARE},
        **libpq_parameters(found.addresses),
        "sslmode": found.parameters.get("sslmode"),
        "target_session_attrs": found.parameters.get("target_session_attrs"),
        "heirs": sorted(heirs),
        "users_act_as_owner": migrations or None,
    }
    return {key: value for key, value in entry.items() if value not in (None, "", [])}


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"postgresql_document": postgresql_document}
