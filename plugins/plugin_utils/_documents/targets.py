# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""How a client reaches the database of an entry of ``vault_databases``: Vault, the DBA, an application, an agent's file."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    Address,
    libpq_parameters,
    parse_addresses,
    parse_url,
    redirected,
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


def overridden(entry: Values, login: Values, override: Values) -> Values:
    """An entry with what its `login`, and then what is not empty of `override`, says of the server."""
    seen = _through(entry, login)
    given = {key: value for key, value in override.items() if value}
    if given.get("host") and not given.get("port"):
        given["port"] = target(seen).addresses[0].port
    return {**seen, **given}


def _through(entry: Values, login: Values) -> dict[str, t.Any]:
    """The entry as its `login` reaches it; the first port of several is for a host of `login` that has none."""
    seen = {**entry, **login}
    if login.get("host") and not login.get("port") and "," not in str(login["host"]):
        seen["port"] = _first_port(entry)
    return seen


def _first_port(entry: Values) -> str:
    return str(entry.get("port") or "").partition(",")[0]


def target_for_vault(entry: Values) -> Target:
    """The same for Vault, where the certificate may lie elsewhere (`ca_cert_on_vault`; empty: the system's store)."""
    found = target({**entry, "ca_cert": entry.get("ca_cert_on_vault", entry.get("ca_cert"))})
    return found._replace(parameters={**found.parameters, **(entry.get("url_parameters") or {})})


def nodes(entries: t.Iterable[Values], dba: Values | None = None) -> list[dict[str, t.Any]]:
    """The servers on which users of the entries have sessions, as seen from here: how a session is opened on each.

    First the way to the server that can be written to, then, with `replica`, each of several hosts and each of `replicas`.  ``dba`` is what the
    variables of the DBA say: its `host` and `port` are those of the first only.  Raises ValueError with a sentence.
    """
    found = []
    for entry in entries:
        seen = _through(entry, entry.get("login") or {})
        given = {key: value for key, value in (dba or {}).items() if value}
        common = {key: value for key, value in given.items() if key not in ("host", "port")}
        primary = target(seen).addresses
        found.append(_node(seen, redirected(primary, given.get("host"), given.get("port")), common))
        members = primary if len(primary) > 1 else []
        for replica in entry.get("replicas") or []:
            members = [*members, *parse_addresses(replica["host"], replica.get("port") or _first_port(entry))]
        found += [_node(seen, [address], common, replica=True) for address in dict.fromkeys(members)]
    return found


def _node(entry: Values, addresses: list[Address], dba: Values, replica: bool = False) -> dict[str, t.Any]:
    parameters = target({**entry, **dba, "host": "", "port": None, "connection_url": ""}).parameters
    attributes = (entry.get("url_parameters") or {}).get("target_session_attrs")
    words = {
        **libpq_parameters(addresses),
        "database": entry.get("database"),
        "sslmode": parameters["sslmode"],
        "ca_cert": parameters.get("sslrootcert"),
        "client_cert": dba.get("client_cert") or entry.get("client_cert"),
        "client_key": dba.get("client_key") or entry.get("client_key"),
        "target_session_attrs": None if replica else attributes or (READ_WRITE if len(addresses) > 1 else None),
    }
    return {"name": entry.get("name"), "replica": replica, **{key: value for key, value in words.items() if value}}
