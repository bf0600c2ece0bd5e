# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""How a client reaches the database of an entry of ``vault_databases``: Vault, the DBA, an application, an agent's file."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    Address,
    parse_addresses,
    parse_url,
)

Values = t.Mapping[str, t.Any]
READ_WRITE = "read-write"


class Target(t.NamedTuple):
    addresses: list[Address]
    database: str
    parameters: dict[str, str]
    """Of libpq and pgx: sslmode, and if they are known sslrootcert and target_session_attrs."""


def target(entry: Values, default_sslmode: str = "verify-full") -> Target:
    """Where the database of an entry is, for a client that has the entry's `ca_cert`; an entry may have a `connection_url` instead of a `host`.

    Of several servers the one is meant that can be written to.  Raises ValueError with a sentence.
    """
    if not entry.get("host") and entry.get("connection_url"):
        _credentials, addresses, database, given = parse_url(str(entry["connection_url"]))
    else:
        addresses = parse_addresses(entry.get("host") or "", entry.get("port"))
        database, given = "", dict(entry.get("url_parameters") or {})
    ca_cert = entry.get("ca_cert")
    parameters = {
        "sslmode": entry.get("sslmode") or given.get("sslmode") or ("verify-full" if ca_cert else default_sslmode),
        "sslrootcert": ca_cert,
        "target_session_attrs": given.get("target_session_attrs") or (READ_WRITE if len(addresses) > 1 else None),
    }
    known = {key: str(value) for key, value in parameters.items() if value}
    return Target(addresses, str(entry.get("database") or database), known)


def target_for_vault(entry: Values) -> Target:
    """The same for Vault, where the certificate may lie elsewhere (`ca_cert_on_vault`; empty: the system's store)."""
    found = target({**entry, "ca_cert": entry.get("ca_cert_on_vault", entry.get("ca_cert"))})
    return found._replace(parameters={**found.parameters, **(entry.get("url_parameters") or {})})


def nodes(entries: t.Iterable[Values]) -> list[dict[str, t.Any]]:
    """Each entry, and after it one for each of its `replicas`, at the address of the replica; `replica` says which it is.

    What an entry says in `login` is the way to its own host, and which of several hosts is meant.
    """
    found = []
    for entry in entries:
        found.append({**entry, "replica": False})
        for replica in entry.get("replicas") or []:
            parameters = {
                key: value
                for key, value in (entry.get("url_parameters") or {}).items()
                if key != "target_session_attrs"
            }
            address = {"host": replica["host"], "port": replica.get("port") or entry.get("port")}
            login = {key: value for key, value in (entry.get("login") or {}).items() if key not in ("host", "port")}
            found.append({**entry, **address, "url_parameters": parameters, "login": login, "replica": True})
    return found
