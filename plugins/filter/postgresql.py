# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials in the forms PostgreSQL's clients read, every special character in its place."""

from __future__ import annotations

import typing as t
from collections import ChainMap
from urllib.parse import quote, urlencode

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    DEFAULT_PORT,
    escape_pgpass,
    join_parameters,
    libpq_parameters,
    parse_addresses,
    pgpass_places,
    url_parts,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import Target, target

Credentials = t.Mapping[str, t.Any]
Host = t.Union[str, t.Mapping[str, t.Any]]  # or an entry of vault_databases


def postgresql_url(
    credentials: Credentials,
    host: Host,
    database: str = "",
    port: t.Any = None,
    scheme: str = "postgresql",
    **parameters: t.Any,
) -> str:
    """``postgresql://user:password@host:5432/database?sslmode=…``"""
    user, password = _who(credentials)
    addresses, dbname, given = _target(host, database, port, parameters)
    authority, hosts = url_parts(addresses)
    query = join_parameters(hosts, urlencode(given, quote_via=quote))
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{authority}/{quote(dbname, safe='')}{query}"


def postgresql_conninfo(
    credentials: Credentials, host: Host, database: str = "", port: t.Any = None, **parameters: t.Any
) -> str:
    """``host='…' port='5432' dbname='…' user='…' password='…'``, the keyword form of libpq."""
    user, password = _who(credentials)
    addresses, dbname, given = _target(host, database, port, parameters)
    words = {**libpq_parameters(addresses), "dbname": dbname, "user": user, "password": password, **given}
    return " ".join(f"{word}={_conninfo_value(value)}" for word, value in words.items() if value != "")


def postgresql_pgpass(credentials: Credentials, host: Host = "*", database: str = "*", port: t.Any = None) -> str:
    """A line of ``.pgpass`` for each server: ``host:port:database:user:password``."""
    user, password = map(_pgpass_value, _who(credentials))
    addresses, dbname, _given = _target(host, "" if database == "*" else database, port, {}, default_port="*")
    return "\n".join(f"{place}:{user}:{password}" for place in pgpass_places(addresses, dbname or "*"))


def _target(
    host: Host, database: str, port: t.Any, parameters: dict[str, t.Any], default_port: str = DEFAULT_PORT
) -> Target:
    """The server, from the host or entry; options given beside it win over the entry."""
    try:
        if isinstance(host, str):
            return Target(parse_addresses(host, port, default_port), database, parameters)
        if not isinstance(host, t.Mapping):
            raise ValueError("host is text, or an entry of vault_databases")
        given = {key: value for key, value in {"database": database, "port": port}.items() if value}
        addresses, dbname, known = target(ChainMap(given, t.cast("dict[str, t.Any]", host)))
    except ValueError as error:
        raise AnsibleFilterError(f"{error}.") from None
    return Target(addresses, dbname, {**known, **parameters})


def _who(credentials: Credentials) -> tuple[str, str]:
    try:
        return str(credentials["username"]), str(credentials["password"])
    except (KeyError, TypeError):
        raise AnsibleFilterError(
            "Credentials are a dictionary with username and password, as the lookups and modules return them."
        ) from None


def _conninfo_value(value: t.Any) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _pgpass_value(text: str) -> str:
    try:
        return escape_pgpass(text)
    except ValueError as error:
        raise AnsibleFilterError(f"{error}.") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {
            "postgresql_url": postgresql_url,
            "postgresql_conninfo": postgresql_conninfo,
            "postgresql_pgpass": postgresql_pgpass,
        }
