# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an LDAP directory as Vault's auth method asks: it lets in who knows the password, shows the entry of a user, and knows no groups.

with Directory({"cn=me,ou=people,dc=example,dc=com": "the password"}) as directory:
    directory.url  # what Vault is told
"""

from __future__ import annotations

import io
import socketserver
import threading
import typing as t

from servers import HOST

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# Tags of RFC 4511, and its result codes.
SEQUENCE, SET, OCTETS, ENUMERATED = 0x30, 0x31, 0x04, 0x0A
BIND, BOUND, SIMPLE, SEARCH, ENTRY, FOUND = 0x60, 0x61, 0x80, 0x63, 0x64, 0x65
SUCCESS, INVALID_CREDENTIALS = 0, 49


class Directory:
    """The server, for as long as the `with` lasts."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.passwords = passwords

    @property
    def url(self) -> str:
        return f"ldap://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> t.Self:
        self._server = socketserver.ThreadingTCPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        directory = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while message := _read(self.rfile):
                    number, asked, *_controls = _parts(message[1])
                    for answer in directory._answers(*asked):
                        self.wfile.write(_written(SEQUENCE, _written(*number) + answer))

        return Handler

    def _answers(self, operation: int, content: bytes) -> list[bytes]:
        """To a login whether it is good; to a search the user at its base, if it is one, with the attribute that names it; to a goodbye nothing."""
        if operation == SEARCH:
            base = _parts(content)[0][1]
            attribute, _equals, value = base.partition(b",")[0].partition(b"=")
            named = _written(SEQUENCE, _written(OCTETS, attribute) + _written(SET, _written(OCTETS, value)))
            entry = _written(ENTRY, _written(OCTETS, base) + _written(SEQUENCE, named))
            return [*([entry] if base.decode() in self.passwords else []), _result(FOUND, SUCCESS)]
        if operation != BIND:
            return []
        _version, (_octets, name), (way, password) = _parts(content)
        known = way == SIMPLE and password and self.passwords.get(name.decode()) == password.decode()
        return [_result(BOUND, SUCCESS if known else INVALID_CREDENTIALS)]


def _result(operation: int, code: int) -> bytes:
    return _written(operation, _written(ENUMERATED, bytes([code])) + _written(OCTETS, b"") + _written(OCTETS, b""))


def _written(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content  # all it says is short


def _read(stream: t.Any) -> tuple[int, bytes] | None:
    if not (head := stream.read(2)):
        return None
    tag, length = head
    if length & 0x80:
        length = int.from_bytes(stream.read(length & 0x7F), "big")
    return tag, stream.read(length)


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    stream, parts = io.BytesIO(content), []
    while part := _read(stream):
        parts.append(part)
    return parts
