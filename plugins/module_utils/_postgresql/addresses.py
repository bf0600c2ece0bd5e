# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Hosts and ports of PostgreSQL, as people write them, as a URL has them, and as libpq and pgx (Vault's driver) read them.

People write a name, an IPv4 or IPv6 address (with or without brackets), several of them with commas, each with a port or not, or
the directory of a Unix socket.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import parse_qs, quote, unquote

Values = dict[str, t.Any]
DEFAULT_PORT = "5432"
FILE: Values = {"type": "path"}
KEY: Values = {**FILE, "no_log": False}
SERVER_OPTIONS: Values = {
    **{word: {"type": "str"} for word in ("name", "host", "port", "sslmode", "target_session_attrs", "database")},
    "ca_cert": FILE,
    "client_cert": FILE,
    "client_key": KEY,
}
"""Where a database is, in an entry of an option for several."""
NODES: Values = {
    "type": "list",
    "elements": "dict",
    "options": {
        **SERVER_OPTIONS,
        **{word: {"type": "str", "required": True} for word in ("host", "database")},
        "replica": {"type": "bool", "default": False},
    },
}
"""An option for servers: what the filter ``database_nodes`` makes of a document."""

_BRACKETED = re.compile(r"\[([^]\[]*)\](?::(.*))?", re.DOTALL)
_NO_HOST = re.compile(r"[\s@/?#&%\[\]{}\\:,\"']")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[\w.-]+)?", re.ASCII)
_URL = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<authority>[^/?#]*)(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL)  # fmt: skip


class Address(t.NamedTuple):
    """One server: `host` is a name, an address without brackets, the directory of a socket, or empty for the default."""

    host: str
    port: str

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host and not self.is_socket


class ConnectionUrl(t.NamedTuple):
    credentials: str
    """What stands before ``@``, as it is written; in Vault ``{{username}}:{{password}}``."""
    addresses: list[Address]
    database: str
    """Empty if the URL names none."""
    parameters: dict[str, str]
    """Without host, port and dbname."""


def parse_addresses(host: t.Any, port: t.Any = None, default_port: str = DEFAULT_PORT) -> list[Address]:
    """The servers of ``host`` and ``port``.  A port written beside its host wins; one port is for all others, several are one for each host.

    Raises ValueError with a sentence that begins with the name of what is wrong.
    """
    if not isinstance(host, str):
        raise ValueError(f"host is text, such as db.example.com or db1:5433,db2:5434, not {host!r}")
    if "@" in host and not host.startswith("/"):
        # Not shown: before the @ there may be a password.
        raise ValueError(
            "host: has an @; only names and addresses belong there, such as db1:5433,db2:5434, no user, password or URL"
        )
    ports = _ports(port, default_port)
    parts = host.split(",")
    if len(ports) not in (1, len(parts)):
        raise ValueError(f"port: {len(ports)} ports ({','.join(ports)}) for {len(parts)} hosts ({host})")
    ports = ports * len(parts) if len(ports) == 1 else ports
    if host == "":
        return [Address("", ports[0])]
    return [_address(part.strip(), beside) for part, beside in zip(parts, ports)]


def redirected(addresses: t.Sequence[Address], host: t.Any, port: t.Any) -> list[Address]:
    """The servers by another way: at ``host``, at the first one's port if ``port`` says no other, or each of them at ``port``.

    Raises ValueError as `parse_addresses` does.
    """
    if host:
        return parse_addresses(host, port or addresses[0].port)
    if port:
        (other,) = parse_addresses("", port)
        return [address._replace(port=other.port) for address in addresses]
    return list(addresses)


def parse_url(url: str) -> ConnectionUrl:
    """A connection's URL as pgx reads it, which goes by it in Vault; host and port among the parameters win, as in libpq.

    Raises ValueError if it is none.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("it is not of the form postgresql://user:password@host:port/database?parameters")
    query = {key: values[0] for key, values in parse_qs(match["query"] or "", keep_blank_values=True).items()}
    credentials, _at, authority = match["authority"].rpartition("@")
    hosts, ports = _hosts_and_ports(authority)
    hosts = query.pop("host").split(",") if query.get("host") else hosts
    ports = query.pop("port").split(",") if query.get("port") else ports or [DEFAULT_PORT]
    # pgx takes the first port for a host that has none, and so do we: that is where Vault logs in.
    addresses = [
        Address(host, (ports[number] if number < len(ports) else ports[0]) or DEFAULT_PORT)
        for number, host in enumerate(hosts)
    ]
    database = query.pop("dbname", "") or unquote(match["path"] or "")
    return ConnectionUrl(credentials, addresses, database, query)


def holds_credentials(url: str) -> bool:
    """Whether a URL for PostgreSQL has a name or a password of its own, in place of ``{{username}}`` and ``{{password}}``."""
    if not re.match(r"postgres(ql)?://", url):
        return False
    try:
        found = parse_url(url)
    except ValueError:
        return False
    return found.credentials not in ("", "{{username}}:{{password}}") or "password" in found.parameters


def libpq_parameters(addresses: t.Sequence[Address]) -> dict[str, str]:
    """``{"host": …, "port": …}``, connection parameters of libpq; nothing for a default host."""
    parameters = {
        "host": ",".join(address.host for address in addresses),
        "port": ",".join(address.port for address in addresses),
    }
    return {key: value for key, value in parameters.items() if value}


def url_parts(addresses: t.Sequence[Address]) -> tuple[str, str]:
    """What stands between ``@`` and ``/`` of a URL, and what begins its parameters (empty, or ``host=…&port=…``).

    Among the parameters stands what Go's reader of URLs (pgx) refuses between @ and /: a directory, and several hosts with an IPv6 address.
    """
    if any(address.is_socket or (address.is_ipv6 and len(addresses) > 1) for address in addresses):
        return "", "&".join(f"{key}={quote(value, safe='/:,')}" for key, value in libpq_parameters(addresses).items())
    return ",".join(f"{_in_url(address)}:{address.port}" for address in addresses), ""


def pgpass_places(addresses: t.Sequence[Address], database: str) -> list[str]:
    """What a line of .pgpass begins with, ``host:port:database``, for each server.

    A socket is looked for by its directory, and by ``localhost``: always by pgx, by libpq if the directory is its default.
    """
    names = [
        (name, address.port)
        for address in addresses
        for name in ([address.host, "localhost"] if address.is_socket else [address.host or "*"])
    ]
    return [":".join(map(escape_pgpass, (name, port, database))) for name, port in dict.fromkeys(names)]


def escape_pgpass(text: str) -> str:
    if "\n" in text:
        raise ValueError("A line of .pgpass cannot hold a line break")
    return text.replace("\\", "\\\\").replace(":", "\\:")


def join_parameters(*parts: str) -> str:
    """``?…`` with those that are not empty."""
    given = [part for part in parts if part]
    return f"?{'&'.join(given)}" if given else ""


def _in_url(address: Address) -> str:
    return f"[{quote(address.host, safe=':')}]" if address.is_ipv6 else quote(address.host, safe="")


def _ports(port: t.Any, default_port: str) -> list[str]:
    if port is None or str(port) in ("", "0", default_port):
        return [default_port]
    return [_port(text.strip()) for text in str(port).split(",")]


def _port(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return text
    raise ValueError(f"port: {text!r} is not a number from 1 to 65535")


def _address(text: str, port: str) -> Address:
    """One host as somebody wrote it."""
    if text.startswith("/") and text.isprintable():
        return Address(text, port)
    if match := _BRACKETED.fullmatch(text):
        host, own = match[1], match[2]
    elif text.count(":") > 1:
        host, own = text, None
    else:
        host, colon, own = text.partition(":")
        own = own if colon else None
    if (
        "/" in text
        or not text.isprintable()
        or not (_IPV6.fullmatch(host) if ":" in host else host and not _NO_HOST.search(host))
    ):
        raise ValueError(
            f"host: {text!r} is neither a name, an IPv4 or IPv6 address, nor the directory of a socket, with a port behind it or not"
        )
    return Address(host, port if own is None else _port(own))


def _hosts_and_ports(authority: str) -> tuple[list[str], list[str]]:
    """``[::1]:6432,db`` of a URL: all hosts, and the ports that are written."""
    hosts, ports = [], []
    for text in authority.split(","):
        match = re.fullmatch(r"(\[[^]\[]*\]|[^:\[\]]*):?([0-9]*)", text)
        if match is None:
            raise ValueError("its host is malformed, such as by a bracket that is not closed")
        hosts.append(unquote(match[1].strip("[]")))
        ports += [match[2]] if match[2] else []
    return hosts, ports
