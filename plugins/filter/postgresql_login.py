# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An entry of ``vault_databases`` as the options with which modules of community.postgresql reach its server."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import libpq_parameters
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import overridden, target

CLIENT_CERTIFICATE = {"client_cert": "ssl_cert", "client_key": "ssl_key"}


def postgresql_login(
    entry: t.Mapping[str, t.Any],
    default_sslmode: str = "verify-full",
    use_login: bool = False,
    override: t.Mapping[str, t.Any] | None = None,
    client_certificate: bool = True,
) -> dict[str, t.Any]:
    if not isinstance(entry, t.Mapping):
        raise AnsibleFilterError("postgresql_login takes an entry of vault_databases, a dictionary.")
    try:
        entry = overridden(entry, (use_login and entry.get("login")) or {}, override or {})
        found = target(entry, default_sslmode)
    except ValueError as error:
        raise AnsibleFilterError(f"{error}.") from None
    parameters, several = libpq_parameters(found.addresses), len(found.addresses) > 1
    # login_port is one number; several are given as libpq's own parameter.
    more = {"port": parameters["port"]} if several else {}
    more |= {key: value for key, value in found.parameters.items() if key == "target_session_attrs"}
    return {
        "login_host": parameters.get("host", ""),
        "login_port": int(found.addresses[0].port),
        "ssl_mode": found.parameters["sslmode"],
        "ca_cert": found.parameters.get("sslrootcert", ""),
        **{option: entry[key] for key, option in CLIENT_CERTIFICATE.items() if client_certificate and entry.get(key)},
        **({"connect_params": more} if more else {}),
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"postgresql_login": postgresql_login}
