# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""``migrations`` of an entry of ``vault_databases``: a role whose users act as the owner, as one of the entry's ``roles``."""

from __future__ import annotations

import typing as t

Values = dict[str, t.Any]


def roles_of(database: t.Mapping[str, t.Any]) -> Values:
    """The dynamic roles of an entry, by name; that for migrations is among them."""
    roles: Values = {name: role or {} for name, role in (database.get("roles") or {}).items()}
    migrations = database.get("migrations")
    if isinstance(migrations, t.Mapping) and migrations.get("role"):
        options = {key: value for key, value in migrations.items() if key != "role"}
        roles[migrations["role"]] = {"in_role": database.get("owner"), "set_role": True, **options}
    return roles


def entry_of(role: str, databases: t.Iterable[Values], kind: str = "roles") -> Values | None:
    """The entry that has a role, or one of its ``static_roles``."""
    return next((each for each in databases if role in _named(each, kind)), None)


def _named(database: Values, kind: str) -> Values:
    return roles_of(database) if kind == "roles" else database.get(kind) or {}
