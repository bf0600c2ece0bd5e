# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of the entries of ``vault_databases``: primaries and replicas."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import nodes


def database_nodes(entries: t.Any, dba: t.Any = None) -> list[dict[str, t.Any]]:
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, t.Mapping) for entry in entries):
        raise AnsibleFilterError("database_nodes takes entries of vault_databases, a list of dictionaries.")
    try:
        return nodes([entry for entry in entries if entry.get("host")], dba)
    except ValueError as error:
        raise AnsibleFilterError(f"{error}.") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"database_nodes": database_nodes}
