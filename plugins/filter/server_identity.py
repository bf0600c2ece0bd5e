# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which product, version and edition answered ``sys/health``."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import identify


def server_identity(health: t.Any) -> dict[str, t.Any]:
    """``product``, ``version``, ``enterprise``, ``namespaces`` (None if unknown) and ``name``."""
    found = identify(health)
    return {
        "product": found.product,
        "version": ".".join(map(str, found.version)),
        "enterprise": found.enterprise,
        "namespaces": found.has_namespaces,
        "name": str(found),
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"server_identity": server_identity}
