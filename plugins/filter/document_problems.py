# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong in the document (``vault_databases``, ``vault_applications``)."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.problems import problems_of


def document_problems(databases: t.Any, applications: t.Any = None, max_lease_ttl: t.Any = None) -> list[str]:
    """A sentence for each problem, with its path."""
    return problems_of(databases, applications, max_lease_ttl)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"document_problems": document_problems}
