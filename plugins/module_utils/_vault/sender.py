# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Requests: retries, where these are safe, and read-after-write consistency on every cluster node."""

from __future__ import annotations

import base64
import datetime
import email.utils
import json
import re
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import now
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import (
    DOUBT,
    Explainer,
    Kind,
    VaultError,
    errors_of,
    is_in_doubt,
    is_undecided,
    network_failure,
    tls_failure,
    worth_repeating,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import RETRIES, TIMEOUT
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import Identity, identify, is_health

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

_GATEWAY = (429, 502, 503, 504)  # by a proxy that has no server behind it at the moment
_ALWAYS_LATER = str(2**63 - 1)
_UNCLEAN = re.compile(r"//|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")


class Sent(t.NamedTuple):
    """The answer to a request."""

    response: t.Any
    reissued: bool
    """It issues, and was sent again although it is unknown whether it had been carried out."""


class Sender:
    """Sends requests to one server, in one namespace."""

    def __init__(
        self,
        url: str,
        namespace: str = "",
        verify: bool | str = True,
        certificate: tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        server_name: str = "",
        namespace_check: bool = True,
    ) -> None:
        self.url = url.rstrip("/")
        self.namespace = namespace.strip("/")
        self._retries = retries
        self.explainer = Explainer(self.url, self.namespace)
        self._identified = False
        self._notices: list[str] = []  # of answers, until Client.notices() hands them out
        self._dated: tuple[str, float] = ("", 0.0)
        self._namespace_check = namespace_check
        self.identity = Identity()
        """Which server it is, once it has been asked for anything."""
        self.uses_left: int | None = None
        """Requests that the token is good for (num_uses), where that is known and limited; the last one ends what was issued under it."""
        self.token_ttl: int | None = None
        """TTL of the token in seconds, as the login returned it."""
        if not transport.is_address(self.url):
            raise VaultError(
                f"{self.url!r} is not an address of Vault: it must begin with https:// or http:// and name a host."
            )
        self.wire = transport.kept(self.url, verify, certificate, proxies, timeout, server_name)
        self._headers = {"X-Vault-Request": "true", "Content-Type": "application/json"}
        if self.namespace:
            self._headers["X-Vault-Namespace"] = self.namespace

    @property
    def token(self) -> str:
        return self._headers.get("X-Vault-Token", "")

    @token.setter
    def token(self, token: str) -> None:
        self._headers["X-Vault-Token"] = token
        self.uses_left = self.token_ttl = None
        self.mask(token)

    def mask(self, *secrets: str | None) -> None:
        """Leave these out of the text of every error, whatever the server echoes."""
        self.explainer.mask(*secrets)

    def now(self) -> datetime.datetime:
        """The server's time, to the second, out of its last answer: what it says of its objects is in this time.

        The time of this machine where no answer has come yet, or comes without a date.
        """
        text, at = self._dated
        try:
            date = email.utils.parsedate_to_datetime(text).replace(tzinfo=datetime.timezone.utc)
        except (ValueError, TypeError, IndexError):
            return now()
        return date + datetime.timedelta(seconds=time.monotonic() - at)

    def send(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        kind: Kind = "repeat",
        params: Values | None = None,
        headers: Values | None = None,
    ) -> Sent:
        """One request, repeated while that is safe, worth it, and within ``retries``; hvac's logins come this way, too."""
        if _UNCLEAN.search(path):
            raise Refused(
                f"Not sent: {path!r} is not a path in Vault, which must not contain //, /./, /../ or control characters."
            )
        reissued = False
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            # A standby forwards, and redirects when no answer comes back from the leader: what was asked may have been done.
            in_doubt = True
            try:
                response = self._once(method, path, body, params, headers)
            except transport.LeaderlessError:
                if last:
                    raise VaultError(
                        f"{self.url} redirects in a loop: the cluster has no leader at the moment. Try again when it has one."
                        + (DOUBT if is_in_doubt(kind, in_doubt, reissued) else "")
                    ) from None
            except transport.UnacceptableError as error:
                raise VaultError(f"{self.url} {error}{DOUBT if is_in_doubt(kind, True, reissued) else ''}") from None
            except transport.WireError as error:
                in_doubt = error.by_standby
                if error.untrusted:
                    raise VaultError(f"Could not trust {self.url}: {tls_failure(error)}.") from None
                if last or not (error.never_sent or kind == "repeat"):
                    what = "could not be reached" if error.never_sent else "did not answer"
                    doubt = DOUBT if is_in_doubt(kind, in_doubt or not error.never_sent, reissued) else ""
                    if error.target:
                        raise VaultError(
                            f"Vault at {self.url} redirects to {error.target}, which {what}: {network_failure(error)}. The cluster has no leader at "
                            f"the moment, or that address (its api_addr) cannot be reached from here.{doubt}"
                        ) from None
                    raise VaultError(f"Vault at {self.url} {what}: {network_failure(error)}.{doubt}") from None
            else:
                message = " ".join(errors_of(response))
                in_doubt = response.by_standby or is_undecided(message)
                if last or response.ok or not worth_repeating(kind, response.status_code, message):
                    return Sent(response, reissued or (kind == "issue" and response.by_standby))
            reissued |= kind == "issue" and in_doubt
            time.sleep(min(0.5 * 2**attempt, 4))
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        params: Values | None = None,
        headers: Values | None = None,
    ) -> t.Any:
        """Read our own writes through any node of a cluster: each answer's index goes along with the next question."""
        self._detect_standby()
        if method == "list":  # not every proxy lets the verb pass
            method, params = "get", {"list": "true", **(params or {})}
        response = self.wire.send(method.upper(), path, {**self._headers, **(headers or {})}, body, params)
        if self.uses_left is not None:
            self.uses_left = max(self.uses_left - 1, 0)
        self._dated = (response.headers.get("Date", ""), time.monotonic())
        index = response.headers.get("X-Vault-Index")
        if index:
            self._require_index(_raised(index))
        return response

    def _detect_standby(self) -> None:
        """A standby of OpenBao answers reads itself, and late: what the task before this one wrote would not be seen.

        An index that no node has reached lets the leader answer.  Standbys of Vault ask the leader anyway; its performance
        standbys take no index but their own.
        """
        if self._identified:
            return
        try:
            answer = self.wire.send("GET", "/v1/sys/health", {"X-Vault-Request": "true"})
        except transport.WireError as error:
            raise transport.WireError(error, error.untrusted, True, target=error.target) from None
        try:
            health = answer.json()
        except ValueError:
            health = None
        self.identity = identify(health)
        if self.namespace:
            self._require_namespaces(answer.status_code, is_health(health))
        self._identified = True
        if isinstance(health, dict) and health.get("standby") and "performance_standby" not in health:
            self._require_index(_beyond({"cluster": health.get("cluster_id")}))

    def _require_namespaces(self, status: int, answered: bool) -> None:
        """Nothing may reach a server that would ignore the namespace, not even a login."""
        has = self.identity.has_namespaces
        if has is False:
            raise Refused(
                f"Not sent: {self.url} is {self.identity}, which has no namespaces: it would ignore the namespace {self.namespace!r} and do "
                "everything in its root. Leave namespace out (also VAULT_NAMESPACE, BAO_NAMESPACE and the variable leasehold_namespace), or "
                "correct url."
            )
        if has or not self._namespace_check:
            return
        if not answered and status in _GATEWAY:
            raise transport.WireError(
                Problem(f"sys/health was answered {status}, and not by Vault"), False, never_sent=True
            )
        raise Refused(
            f"Not sent: whether {self.url} has namespaces could not be found out, because sys/health was answered {status} without a "
            f"version. A server without them ignores the namespace {self.namespace!r} and does everything in its root. Let sys/health "
            "through (it needs no token), or, if you know that this server has namespaces, set namespace_check: false."
        )

    def _require_index(self, index: str) -> None:
        self._headers = {**self._headers, "X-Vault-Index": index, "X-Vault-Inconsistent": "forward-active-node"}


def _beyond(index: Values) -> str:
    return base64.b64encode(json.dumps({**index, "value": _ALWAYS_LATER}).encode()).decode()


def _raised(index: str) -> str:
    """An index of OpenBao beyond what any node has reached: several threads know it in any order.  Vault's is signed and stays."""
    try:
        return _beyond(json.loads(base64.b64decode(index)))
    except (ValueError, TypeError):
        return index
