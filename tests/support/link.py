# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link to PostgreSQL that can be slow, shut before a chosen message, and cut at any byte.

with Link(postgres.port) as link:
    link.shut_after(3)                  # as the gate does: of the clients' messages from now on
    link.cut_at(Place(2, 7, 1))         # of the connections from now on the 2nd, of its messages the 7th, after its 1st byte
    link.delay = 0.2                    # before each message
    link.down()                         # every connection ends, and new ones end at once
    link.open()                         # all is well again
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import typing as t

from servers import HOST

CANCEL = struct.pack("!I", 80877102)


class Place(t.NamedTuple):
    """Where in the traffic: both sides' messages of a connection are counted together, from 1; they take turns.

    Connection 0 is the one that is open already.  Pings are not counted, they depend on time, nor are requests to cancel.
    """

    connection: int
    message: int
    byte: int = 0
    """How many bytes of the message still arrive; -1: all of them."""


class Message(t.NamedTuple):
    connection: int
    number: int
    sender: str
    content: bytes

    @property
    def kind(self) -> str:
        """PostgreSQL's letter for it, of client or server; the first message of a client has none."""
        return chr(self.content[0]) if self.content[0] else "startup"


class Link:
    """Passes everything on to PostgreSQL, message by message."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.delay = 0.0
        self.seen: list[Message] = []
        """Since the last call of `watch()`, `cut_at()` or `open()`."""
        self._changed = threading.Condition()
        self._lines: set[_Line] = set()
        self._limit: int | None = None
        self._loses = self._is_down = False
        self._place: Place | None = None
        self._sent = self._connections = 0

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    # What is to happen

    def watch(self) -> None:
        """Forget what was seen, and number connections and messages anew."""
        with self._changed:
            self.seen = []
            self._connections = 0
            for line in self._lines:
                line.number = line.count = 0

    def shut_after(self, messages: int, *, lose_answer: bool = False) -> None:
        """Let so many further messages of clients through, and none after them; `lose_answer`: nor any answer."""
        with self._changed:
            self._limit, self._loses, self._sent = messages, lose_answer, 0

    @property
    def passed(self) -> int:
        """How many messages of clients there were, since `shut_after()` if it was called."""
        return self._sent

    def is_shut(self) -> bool:
        with self._changed:
            return self._limit is not None and self._sent >= self._limit

    def cut_at(self, place: Place) -> None:
        """Cut every connection there, once."""
        self.watch()
        with self._changed:
            self._place = place

    @property
    def was_cut(self) -> bool:
        return self._place is None

    def down(self) -> None:
        with self._changed:
            self._is_down = True
        self.cut()

    def cut(self) -> None:
        with self._changed:
            lines = list(self._lines)
        for line in lines:
            line.close()

    def open(self) -> None:
        """Let everything through from now on."""
        with self._changed:
            self._limit = self._place = None
            self._is_down, self.delay = False, 0.0
            self._changed.notify_all()
        self.watch()

    # How it runs

    def __enter__(self) -> t.Self:
        self._server = socket.create_server((HOST, 0), backlog=100)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.close()
        self.open()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._server.accept()
            except OSError:  # closed
                return
            with self._changed:
                if self._is_down:
                    client.close()
                    continue
            try:
                server = socket.create_connection((HOST, self.target))
            except OSError:
                client.close()
                continue
            line = _Line(self, client, server)
            with self._changed:
                self._lines.add(line)
            for sender in ("client", "server"):
                threading.Thread(target=line.carry, args=(sender,), daemon=True).start()

    # What a message goes through

    def admit(self, line: _Line, sender: str, content: bytes) -> int:
        """How many of its bytes may pass; -1 for all."""
        if self.delay:
            time.sleep(self.delay)
        with self._changed:
            shut = self._limit is not None and self._sent >= self._limit
            if shut and (self._loses or sender == "client"):
                self._changed.wait_for(
                    lambda: self._limit is None
                )  # then on: what was sent arrives, its sender dead or not
            self._sent += sender == "client"
            if not line.counts(content):
                return -1
            if line.number is None:
                self._connections += 1
                line.number = self._connections
            line.count += 1
            self.seen.append(Message(line.number, line.count, sender, content))
            if self._place is None or self._place[:2] != (line.number, line.count):
                return -1
            rest, self._place = self._place.byte, None
            return rest if rest >= 0 else len(content)

    def forget(self, line: _Line) -> None:
        with self._changed:
            self._lines.discard(line)


class _Line:
    """One connection: two sockets, and who carries between them."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self.link, self.client, self.server = link, client, server
        self.number: int | None = None
        self.count = 0
        self._pings = False

    def counts(self, content: bytes) -> bool:
        if content[4:8] == CANCEL:
            return False
        if b"-- ping" in content:
            self._pings = True
        pings, self._pings = self._pings, self._pings and content[:1] != b"Z"
        return not pings

    def carry(self, sender: str) -> None:
        source, sink = (self.client, self.server) if sender == "client" else (self.server, self.client)
        greeting = sender == "client"
        with contextlib.suppress(OSError, EOFError):
            while True:
                content = _message(source, greeting)
                greeting = False
                passing = self.link.admit(self, sender, content)
                sink.sendall(content if passing < 0 else content[:passing])
                if passing >= 0:
                    self.link.cut()
                    break
        self.close()

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.link.forget(self)


def _message(source: socket.socket, greeting: bool) -> bytes:
    head = _exactly(source, 4 if greeting else 5)
    (length,) = struct.unpack("!I", head[-4:])
    return head + _exactly(source, length - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        if not (more := source.recv(count - len(content))):
            raise EOFError
        content += more
    return content
