# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The wire: kept connections, TLS, proxies and redirects, and no opinion on what an answer means.

It is urllib3, which hvac brings along.  hvac's own way, through requests, takes twice the processor time for each
request and as long again to import; a whole engine is thousands of requests, and a module imports for one.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import typing as t
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem, Refused

if t.TYPE_CHECKING:
    import ssl

CONNECTIONS = 64  # kept alive at the most; more threads than that open and close theirs
TO_LEADER = 5  # seconds to connect to where a standby redirects: a leader that has died may not even refuse
HOPS = 2  # a standby names the leader; more redirects are a cluster without one
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


class DowngradeError(Exception):
    """A redirect from TLS to none; the argument is where to."""


class Answer:
    """As much of a response as hvac and the client look at; ``by_standby`` if a standby redirected on the way to it."""

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
        self._url = url
        self._to_leader = urllib3.Timeout(connect=min(TO_LEADER, timeout), read=timeout)
        options: dict[str, t.Any] = {"timeout": timeout, "retries": False}
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
        patience: dict[str, t.Any] = {}
        for _hop in range(HOPS + 1):
            try:
                got = self._pool.request(method, url, body=content, headers=headers, redirect=False, **patience)
            except self._errors.HTTPError as error:
                raise self._failure(error, by_standby, target or "") from None
            target = got.headers.get("Location") if got.status in REDIRECTS else None
            if target is None:
                return Answer(got.status, got.headers, got.data, by_standby)
            by_standby |= got.status == BY_STANDBY
            target = urljoin(url, target)
            if url.startswith("https:") and not target.startswith("https:"):
                raise DowngradeError(target)
            url, patience = target, {"timeout": self._to_leader}
        raise LeaderlessError

    def _failure(self, error: Exception, by_standby: bool, target: str) -> WireError:
        original = getattr(error, "original_error", error)  # a proxy's error wraps the real one
        never_sent = isinstance(original, (self._errors.NewConnectionError, self._errors.ConnectTimeoutError))
        parts = urlsplit(target)
        where = f"{parts.scheme}://{parts.netloc}" if target else ""
        return WireError(error, isinstance(error, self._errors.SSLError), never_sent, by_standby, where)


def warm_up() -> None:
    """What is done once for a process, to be done before that forks."""
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
