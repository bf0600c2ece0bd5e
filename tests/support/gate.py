# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate in front of OpenBao that shuts after a chosen write, so that a run can be interrupted exactly there.

with Gate(bao) as gate:
    gate.shut_after(3)                  # of the writes from now on
    …                                   # a run with gate.environment; gate.is_shut() says that it stands before the gate
    gate.open()
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import select
import socket
import ssl
import threading
import typing as t

from servers import HOST

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import OpenBao

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length"}


class Gate:
    """Passes everything on, over plain HTTP to the client and as the server wants it to the server."""

    def __init__(self, bao: OpenBao) -> None:
        self.bao = bao
        self._changed = threading.Condition()
        self._limit: int | None = None
        self._loses = False
        self._sends_away = True
        self._begun = self._done = self._inside = 0

    def shut_after(self, writes: int, *, lose_answer: bool = False) -> None:
        """Let so many further writes through, and nothing after them; `lose_answer`: not even the answer of the last."""
        with self._changed:
            self._limit, self._loses = writes, lose_answer
            self._begun = self._done = 0

    def is_shut(self) -> bool:
        """Whether the last write has been answered by the server."""
        with self._changed:
            return self._limit is not None and self._done >= self._limit

    @property
    def passed(self) -> int:
        """How many writes there were, since `shut_after()` if it was called."""
        return self._begun

    def is_left(self) -> bool:
        """Whether no request is on its way: who sent it has its answer, or is dead and the server knows."""
        with self._changed:
            return not self._inside

    def open(self, *, send_away: bool = True) -> None:
        """Let everything through from now on.  Who stood before the gate is sent away, unless its client surely lives."""
        with self._changed:
            self._limit, self._sends_away = None, send_away
            self._changed.notify_all()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        return {"VAULT_ADDR": self.url}

    def __enter__(self) -> t.Self:
        gate = self

        class Handler(_Handler):
            pass

        Handler.gate = gate
        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()

    # What a request goes through

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1

    def enter(self, writes: bool) -> int | None:
        """The number of a write that may pass, 0 for what is none, None for what may not pass."""
        with self._changed:
            if self._limit is not None and self._begun >= self._limit and (writes or self._done >= self._limit):
                self._changed.wait_for(lambda: self._limit is None)
                if self._sends_away:
                    return None
            self._begun += writes
            return self._begun if writes else 0

    def leave(self, number: int) -> bool:
        """Whether the answer may reach the client."""
        if not number:
            return True
        with self._changed:
            self._done += 1
            if self._loses and number == self._limit:
                self._changed.wait_for(lambda: self._limit is None)
                return False
            return True


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate
    upstream: http.client.HTTPConnection | None = None

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = self.gate.enter(self.command in WRITES)
        if number is None:
            self.close_connection = True
            return
        if self.upstream is None:
            self.upstream = self._connect()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", *NOT_PASSED_ON}}
        with self.gate.passing():
            self.upstream.request(self.command, self.path, body, headers)
            if self._client_dies_first():
                self.upstream.close()  # as without a gate: the server sees it, and stops what it does for the client
                self.close_connection = True
                return
            answer = self.upstream.getresponse()
            content = answer.read()
        if not self.gate.leave(number):
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_LIST = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 (http.server's names)

    def _client_dies_first(self) -> bool:
        """Wait until the server answers, or the client is gone."""
        assert self.upstream is not None
        readable = select.select([self.connection, self.upstream.sock], [], [])[0]
        if self.upstream.sock in readable:
            return False
        with contextlib.suppress(ConnectionError):
            return not self.connection.recv(1, socket.MSG_PEEK)
        return True

    def _connect(self) -> http.client.HTTPConnection:
        bao = self.gate.bao
        if not bao.tls:
            return http.client.HTTPConnection(HOST, bao.port, timeout=100)
        context = ssl.create_default_context(cafile=str(bao.ca_cert))
        return http.client.HTTPSConnection(HOST, bao.port, timeout=100, context=context)

    def finish(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
        super().finish()

    def log_message(self, *_what: object) -> None:
        """Say nothing."""
