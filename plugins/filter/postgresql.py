# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials in the forms PostgreSQL's clients read, every special character in its place."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlencode

from ansible.errors import AnsibleFilterError

Credentials = t.Mapping[str, t.Any]


def postgresql_url(
    credentials: Credentials,
    host: str,
    database: str = "",
    port: int = 5432,
    scheme: str = "postgresql",
    **parameters: t.Any,
) -> str:
    """``postgresql://user:password@host:5432/database?sslmode=…``"""
    user, password = _who(credentials)
    address = f"[{host}]" if ":" in host else quote(host, safe=",")
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{address}:{port}/{quote(database, safe='')}{query}"


def postgresql_conninfo(
    credentials: Credentials, host: str, database: str = "", port: int = 5432, **parameters: t.Any
) -> str:
    """``host='…' port='5432' dbname='…' user='…' password='…'``, the keyword form of libpq."""
    user, password = _who(credentials)
    words = {"host": host, "port": port, "dbname": database, "user": user, "password": password, **parameters}
    return " ".join(f"{word}={_conninfo_value(value)}" for word, value in words.items() if value != "")


def postgresql_pgpass(credentials: Credentials, host: str = "*", database: str = "*", port: t.Any = "*") -> str:
    """One line of ``.pgpass``: ``host:port:database:user:password``."""
    return ":".join(_pgpass_value(value) for value in (host, port, database, *_who(credentials)))


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


def _pgpass_value(value: t.Any) -> str:
    text = str(value)
    if "\n" in text:
        raise AnsibleFilterError("A line of .pgpass cannot hold a line break.")
    return text.replace("\\", "\\\\").replace(":", "\\:")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {
            "postgresql_url": postgresql_url,
            "postgresql_conninfo": postgresql_conninfo,
            "postgresql_pgpass": postgresql_pgpass,
        }
