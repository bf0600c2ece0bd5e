# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""HTTP transport: connections, TLS, proxies and redirects; answers are not interpreted.

It is urllib3, which hvac brings along.  hvac's own way, through requests, takes twice the processor time for each
request and as long again to import; a whole engine is thousands of requests, and a module imports for one.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
import typing as t
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused

if t.TYPE_CHECKING:
    import ssl

CONNECTIONS = 64  # kept alive at the most; more threads than that open and close theirs
TO_LEADER = 5  # seconds to connect to where a standby redirects: a leader that has died may not even refuse
HOPS = 2  # a standby names the leader; more redirects are a cluster without one
LIMIT = 64 * 2**20  # bytes of an answer, unpacked
CHUNK = 2**16
REDIRECTS = (301, 302, 303, 307, 308)
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # as OpenSSL names the certificates of a directory
BY_STANDBY = 307  # what else redirects, such as a balancer to its own name, has asked nobody


class WireError(Exception):
    """No answer; ``by_standby`` as of an :class:`Answer`; ``target`` is where a redirect led, if one did."""

    def __init__(
        self, error: Exception, untrusted: bool, never_sent: bool, by_standby: bool = False, target: str = ""
    ) -> None:
        super().__init__(str(error))
        self.target = target
        self.untrusted = untrusted
        self.never_sent = never_sent
        self.by_standby = by_standby


class LeaderlessError(Exception):
    """Redirects in a circle."""


class UnacceptableError(Exception):
    """An answer that is not followed, or not read; the argument goes on after the address of the server."""


class Answer:
    """As much of a response as hvac and the client look at; ``by_standby`` if a standby redirected on the way to it."""

    reissued = False
    """Whether something was issued for it again although it is unknown whether that had been done."""

    def __init__(
        self, status_code: int, headers: t.Mapping[str, str], content: bytes, by_standby: bool = False
    ) -> None:
        self.status_code = status_code
        self.headers = headers
        self.content = content
        self.by_standby = by_standby

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> t.Any:
        return json.loads(self.content)


def kept(
    url: str,
    verify: bool | str,
    certificate: tuple[str, str] | None,
    proxies: t.Mapping[str, str] | None,
    timeout: float,
    server_name: str = "",
) -> Wire:
    """The wire to a server, one for a process: items of a loop, too, find the connection open.

    A process that forks would share it, byte by byte, with its child; so a wire belongs to whoever opened it.
    """
    return _kept(os.getpid(), url, verify, certificate, tuple(sorted((proxies or {}).items())), timeout, server_name)


@functools.lru_cache(maxsize=16)
def _kept(_process: int, *arguments: t.Any) -> Wire:
    return Wire(*arguments)


class Wire:
    def __init__(
        self,
        url: str,
        verify: bool | str,
        certificate: tuple[str, str] | None,
        proxies: t.Iterable[tuple[str, str]],
        timeout: float,
        server_name: str = "",
    ) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise Problem(
                f"The Python library hvac is needed and could not be imported ({error}); install it for the Python that runs this task."
            ) from None
        self._errors = urllib3.exceptions
        self._timeout_of = urllib3.Timeout
        self._url, self._seconds = url, timeout
        self._verifies = url.startswith("https:") and verify is not False
        options: dict[str, t.Any] = {"retries": False}
        if url.startswith("https:"):
            options["ssl_context"] = _trust(verify, certificate)
            if server_name:
                options["server_hostname"] = server_name
        proxy = _proxy_for(url, dict(proxies))
        if proxy:
            from requests.adapters import HTTPAdapter

            self._pool: t.Any = HTTPAdapter(pool_maxsize=CONNECTIONS).proxy_manager_for(proxy, **options)
        else:
            self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, **options)
        pools = self._pool.pool_classes_by_scheme
        self._pool.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in pools.items()}

    def send(
        self,
        method: str,
        path: str,
        headers: t.Mapping[str, str],
        body: t.Any = None,
        params: t.Mapping[str, t.Any] | None = None,
    ) -> Answer:
        url = self._url + quote(path) + (f"?{urlencode(params)}" if params else "")
        content = None if body is None else json.dumps(body).encode()
        by_standby, target = False, None
        deadline = time.monotonic() + self._seconds
        for _hop in range(HOPS + 1):
            left = max(deadline - time.monotonic(), 0.001)
            timeout = self._timeout_of(total=left, connect=min(TO_LEADER, left) if target else left)
            try:
                got = self._pool.request(
                    method, url, body=content, headers=headers, redirect=False, timeout=timeout, preload_content=False
                )
                answered = _read(got)
            except self._errors.HTTPError as error:
                raise self._failure(error, by_standby, target or "") from None
            target = got.headers.get("Location") if got.status in REDIRECTS else None
            if target is None:
                return Answer(got.status, got.headers, answered, by_standby)
            by_standby |= got.status == BY_STANDBY
            target = urljoin(url, target)
            self._check_redirect(url, target)
            url = target
        raise LeaderlessError

    def _check_redirect(self, url: str, target: str) -> None:
        """What is sent, a token or a login, goes to the same host, or to one that TLS verifies by the same authorities, and to no other."""
        if url.startswith("https:") and not target.startswith("https:"):
            raise UnacceptableError(
                f"redirects to {target} without TLS; not followed, the token would be sent in clear text."
            )
        same = urlsplit(url).hostname == urlsplit(target).hostname
        if not same and not (self._verifies and url.startswith("https:")):
            raise UnacceptableError(
                f"redirects to {target}, another host, which TLS does not verify; not followed, anybody could get the token that way. Let url be "
                "that of the leader, or have the servers verified (https, ca_cert)."
            )

    def _failure(self, error: Exception, by_standby: bool, target: str) -> WireError:
        original = getattr(error, "original_error", error)  # a proxy's error wraps the real one
        never_sent = isinstance(original, (self._errors.NewConnectionError, self._errors.ConnectTimeoutError))
        parts = urlsplit(target)
        where = f"{parts.scheme}://{parts.netloc}" if target else ""
        return WireError(error, isinstance(error, self._errors.SSLError), never_sent, by_standby, where)


def _read(got: t.Any) -> bytes:
    """The whole answer, unpacked, unless it is endless."""
    content = bytearray()
    while chunk := got.read(CHUNK, decode_content=False):
        content += chunk
        if len(content) > LIMIT:
            break
    if got.headers.get("Content-Encoding", "").lower() in ("gzip", "deflate"):  # nobody asked for that
        content = _unpacked(bytes(content))
    if len(content) > LIMIT:
        got.close()
        raise UnacceptableError(
            f"answers with more than {LIMIT >> 20} MiB, which was not read to its end. Vault never does; check for a proxy or a login page on the way."
        )
    return bytes(content)


def _unpacked(packed: bytes) -> bytearray:
    import zlib

    try:
        return bytearray(zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(packed, LIMIT + 1))
    except zlib.error:
        return bytearray(packed)


def _timed(pool: t.Any) -> t.Any:
    """A kind of connection pool in which the timeout of a request is that of all its reads together.

    urllib3 would warn of each connection without verification, on the standard error of a worker.  Whoever turned it off has decided.
    """

    def connect(self: t.Any) -> None:
        pool.ConnectionCls.connect(self)
        self.is_verified = True

    methods = {"response_class": _timed_response(), "connect": connect}
    return type("Pool", (pool,), {"ConnectionCls": type("Connection", (pool.ConnectionCls,), methods)})


@functools.cache
def _timed_response() -> type:
    import http.client
    import io

    class Timed(io.RawIOBase):
        """Reads from a socket up to a deadline, where the socket itself would begin anew with each byte."""

        def __init__(self, sock: t.Any, raw: io.RawIOBase) -> None:
            self._sock, self._raw = sock, raw
            self._deadline = time.monotonic() + sock.gettimeout()

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: t.Any) -> int | None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
            return self._raw.readinto(buffer)

        def close(self) -> None:
            self._raw.close()
            super().close()

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: t.Any, *arguments: t.Any, **more: t.Any) -> None:
            super().__init__(sock, *arguments, **more)
            if sock.gettimeout():
                self.fp: t.Any = io.BufferedReader(Timed(sock, self.fp.detach()))

    return Response


def warm_up() -> None:
    """What is done once for a process, to be done before that forks."""
    with contextlib.suppress(ImportError):  # reported where it is needed
        from urllib3.util.ssl_ import create_urllib3_context

        create_urllib3_context()


def _trust(verify: bool | str, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    """Made once for all connections.  Without a word about authorities, those that Python's HTTP libraries agree on."""
    import ssl

    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        place = verify if isinstance(verify, str) else _authorities()
        try:
            _load_authorities(context, place)
        except OSError as error:
            raise Refused(f"The certificates to trust could not be read from {place}: {_why(error)}.") from None
    if certificate:
        try:
            context.load_cert_chain(*certificate)
        except OSError as error:
            files = " and ".join(dict.fromkeys(certificate))
            raise Refused(f"The client certificate could not be read from {files}: {_why(error)}.") from None
    return context


def _load_authorities(context: ssl.SSLContext, place: str) -> None:
    """A file, or a directory: OpenSSL looks only for files named by their hash in there, Vault reads all."""
    import ssl

    if not os.path.isdir(place):  # noqa: PTH112
        context.load_verify_locations(cafile=place)
        return
    context.load_verify_locations(capath=place)
    for entry in os.scandir(place):
        if entry.is_file() and not _HASHED.fullmatch(entry.name):
            with contextlib.suppress(ssl.SSLError):  # no certificate
                context.load_verify_locations(cafile=entry.path)


def _authorities() -> str:
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if named:
        return named
    import certifi

    return certifi.where()


def _proxy_for(url: str, proxies: t.Mapping[str, str]) -> str:
    """The proxy on the way; requests knows the rules of ``no_proxy``, and is asked only where there is a proxy at all."""
    if not proxies and not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return ""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, proxies or get_environ_proxies(url)) or ""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def is_address(url: str) -> bool:
    """Whether a request could be sent there at all."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
