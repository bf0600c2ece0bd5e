# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The one way to talk to Vault or OpenBao: what is sent again, what an answer means, and errors that are sentences."""

from __future__ import annotations

import base64
import datetime
import email.utils
import json
import re
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import (
    Forbidden,
    MountMissing,
    NotConverged,
    Problem,
    Refused,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import now
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import RETRIES, TIMEOUT
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import Identity, identify, is_health

if t.TYPE_CHECKING:
    import builtins

    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

Kind = t.Literal["repeat", "issue", "rotate"]
"""What a request may cost when it is sent twice.

repeat: nothing (reads, the same write again, revocations).  issue: a second database user.  rotate: a password nobody knows.
"""

# Failures during a change of leader, by the texts the server uses for them; nothing was done when these are answered.
_NOT_DONE = ("local node not active but active cluster node not found",)
_NOT_BEGUN = "unable to start transaction"
_UNDECIDED = (
    "leadership lost",
    "context canceled",
    "internal error",
    "transaction commit failed",
    _NOT_BEGUN,
)
REISSUED = "reissued"
"""The key of an answer to what issues, if that was asked again although it is unknown whether it had been done; the server has none."""
_DOUBT = " It is unknown whether it did what was asked."
_GATEWAY = (429, 502, 503, 504)  # by a proxy that has no server behind it at the moment
_ALWAYS_LATER = str(2**63 - 1)
# There is nothing: by these words where it is not a bare 404.
_NO_SUCH_MOUNT = ("No secret engine mount at", "No auth engine at", "cannot fetch sysview for path")
_NO_SUCH_POLICY = "policy does not exist"
# 200, and something in the request had no effect.
_IGNORED = re.compile(r"Endpoint ignored these unrecognized parameters: \[(.*)\]")
# What the endpoint of a connection does not know itself it hands on to the database plugin, and lists as ignored.
_HANDS_ON = re.compile(r"(?!auth/|sys/).+/config/[^/]+")
_UNCLEAN = re.compile(r"//|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")
# Of class 08, which poolers use for all that they say themselves, only what is about the connection.
_DATABASE_AWAY = re.compile(r"SQLSTATE (?:53300|57P03|0800[01346])")
_SQLSTATE = re.compile(r"SQLSTATE (\w{5})")
# Vault before 1.11, whose driver was lib/pq, names the wrong password without a code; PgBouncer up to 1.18 with a code for protocol errors.
_WRONG_PASSWORD = re.compile(
    r"SQLSTATE 28P01|pq: password authentication failed"
    r"|(?:(?:SASL|password) authentication failed|no such user)[^()]*\(SQLSTATE 08P01\)"
)
_SECRETS = ("password", "private_key", "secret_id", "service_account_json", "token", "token_reviewer_jwt")
PAGE = 1000  # keys asked for at once
_CAPABILITY = {
    "get": ("read",),
    "list": ("list",),
    "post": ("create", "update"),
    "put": ("update",),
    "delete": ("delete",),
}
_ENVELOPE = {
    "data": dict,
    "auth": dict,
    "wrap_info": dict,
    "lease_id": str,
    "lease_duration": int,
    "renewable": bool,
    "warnings": list,
}
"""What each answer of Vault is made of."""
_DATA = {
    "allowed_roles": (list, str),
    "config": dict,
    "connection_details": dict,
    "expire_time": str,
    "issue_time": str,
    "keys": list,
    "last_vault_rotation": str,
    "options": dict,
    "password": str,
    "policy": str,
    "ttl": int,
    "type": str,
    "username": str,
}
"""What an object is made of whose fields are read here."""
_SUDO_ALONE = ("sys/leases", "sys/audit")
_SUDO = (
    "sys/audit/",
    "sys/leases/lookup/",
    "sys/leases/revoke-prefix/",
    "sys/leases/revoke-force/",
    "sys/leases/count",
    "sys/auth/",
)


class VaultError(Problem):
    """The server said no, or nothing at all."""

    def __init__(self, sentence: str, status: int = 0, message: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.said = message
        found = _SQLSTATE.search(message)
        self.sqlstate = found.group(1) if found else ""

    @property
    def unanswered(self) -> bool:
        """The request may or may not have been carried out."""
        return self.status == 0 or any(word in self.said for word in _UNDECIDED)

    @property
    def in_doubt(self) -> bool:
        """As the sentence says it: what must not be done twice may have been done."""
        return _DOUBT in str(self)

    @property
    def away(self) -> bool:
        """Nobody can do anything there at the moment, whatever is asked."""
        return self.status == 0 or worth_repeating("rotate", self.status, self.said)

    @property
    def wrong_password(self) -> bool:
        return bool(_WRONG_PASSWORD.search(self.said))

    @property
    def refused_by_database(self) -> bool:
        """The database refuses the user or its password; any other error says nothing about them."""
        return self.wrong_password or (self.sqlstate == "28000" and "not permitted to log in" in self.said)


class Client:
    """A session with one server, in one namespace."""

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
        self._masked: list[str] = []
        self._has_met = False
        self._dated: tuple[str, float] = ("", 0.0)
        self._namespace_check = namespace_check
        self._notices: list[str] = []
        self.identity = Identity()
        """Which server it is, once it has been asked for anything."""
        self.uses_left: int | None = None
        """Requests that the token is good for (num_uses), where that is known and limited; the last one ends what was issued under it."""
        self.token_ttl: int | None = None
        """Seconds the token lives, as the login said."""
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
        """Keep these out of every sentence, whatever the server echoes."""
        self._masked.extend(secret for secret in secrets if secret)

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

    def notices(self) -> builtins.list[str]:
        """What the server said in ``warnings`` of its answers since this was last asked."""
        taken, self._notices = self._notices, []
        return list(dict.fromkeys(taken))

    # -- what the engine needs --------------------------------------------------------------------------------------------

    def read(self, path: str) -> Values | None:
        """The data at a path; None when there is no such object."""
        answer = self.ask("get", path, absent_ok=True)
        return None if answer is None else answer.get("data")

    def list(self, path: str, mount_may_be_missing: bool = False) -> builtins.list[str]:
        """The keys below a path, page by page where the server knows pages."""
        keys: builtins.list[str] = []
        try:
            while True:
                answer = self.ask(
                    "list", path, absent_ok=True, params={"after": keys[-1] if keys else "", "limit": PAGE}
                )
                page = [str(key) for key in ((answer or {}).get("data") or {}).get("keys") or []]
                new = [key for key in page if not keys or key > keys[-1]]
                keys.extend(new)
                if len(page) < PAGE or not new:
                    return keys
        except MountMissing:
            if mount_may_be_missing:
                return []
            raise

    def mounts(self, path: str) -> dict[str, Values]:
        """What is mounted, by its path without slashes: ``sys/mounts``, ``sys/auth``."""
        found = self.read(path) or {}
        return {
            one.strip("/"): current for one, current in found.items() if isinstance(current, dict) and "type" in current
        }

    def write(self, path: str, body: Values) -> None:
        self.mask(*(value for key, value in body.items() if key in _SECRETS))
        self.ask("post", path, body)

    def delete(self, path: str) -> None:
        self.ask("delete", path)

    def leases(self, prefix: str) -> builtins.list[str]:
        """The ids of all live leases under a prefix."""
        found: list[str] = []
        for key in self.list(f"sys/leases/lookup/{prefix.strip('/')}/"):
            inside = f"{prefix.strip('/')}/{key}"
            found.extend(self.leases(inside) if key.endswith("/") else [inside])
        return found

    def revoke_prefix(self, prefix: str) -> None:
        self.ask("put", f"sys/leases/revoke-prefix/{prefix.strip('/')}")

    # -- what is more than reading and writing ---------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Values | None = None,
        kind: Kind = "repeat",
        absent_ok: bool = False,
        params: Values | None = None,
        headers: Values | None = None,
        needs: t.Sequence[str] = (),
    ) -> t.Any:
        """Send one request; the decoded answer, None for an absent object, or a sentence raised as :class:`VaultError`.

        ``needs`` are the keys, of the answer or its ``data``, without which the answer is none.
        """
        response = self.send(method, f"/v1/{path}", body, kind, params, headers)
        if response.ok:
            answer = self.content_of(path, response)
            lacking = [key for key in needs if answer.get(key) is None and (answer.get("data") or {}).get(key) is None]
            if lacking:
                raise VaultError(
                    f"What answers at {self.url} is not Vault: {path} is answered without {' and '.join(lacking)}. Correct url, or look for a "
                    "proxy on the way."
                )
            if response.reissued:
                answer[REISSUED] = True
            if kind != "issue":  # whoever issues hands them out with what was issued
                self._heed(path, body or {}, answer.get("warnings") or [])
            return answer
        errors = _errors_of(response)
        if absent_ok and _means_absent(response.status_code, errors):
            return None
        raise self._sentence(method, path, response.status_code, errors, kind, response.reissued)

    def _heed(self, path: str, body: Values, warnings: t.Sequence[str]) -> None:
        """Fail when the server took a request and ignored a part of it; keep everything else that it warns about."""
        for warning in warnings:
            found = _IGNORED.search(warning)
            if not found:
                self._notices.append(f"{path}: {self._clean(warning)}")
            elif not _HANDS_ON.fullmatch(path):
                # To ignore what is empty or false is what asks for it; parameters of the query page a list, where there are pages.
                lost = sorted(name for name in found[1].split() if body.get(name))
                if lost:
                    raise NotConverged(
                        f"Vault took the write of {path} and ignored {', '.join(lost)}: {self.identity} does not know it. Leave it out, or "
                        "use a server that knows it."
                    )

    def content_of(self, path: str, response: t.Any) -> Values:
        """What a good answer holds; a page of something else that answered 200 is said to be one."""
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            answer = None
        if (
            not isinstance(answer, dict)
            or not _is_vaults(answer, _ENVELOPE)
            or not _is_vaults(answer.get("data") or {}, _DATA)
        ):
            raise VaultError(
                f"What answers at {self.url} is not Vault: {path} is answered with something else than Vault's JSON. Correct url, or look for "
                "a proxy or a login page on the way.",
                response.status_code,
            )
        return answer

    # -- how it travels ----------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        kind: Kind = "repeat",
        params: Values | None = None,
        headers: Values | None = None,
    ) -> t.Any:
        """One request, repeated while that is safe, worth it, and within ``retries``; hvac's logins come this way, too."""
        if _UNCLEAN.search(path):
            raise Refused(
                f"Not sent: {path!r} is not a path in Vault, which takes no //, /./, /../ or control characters in one."
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
                        f"{self.url} redirects in a circle: the cluster has no leader at the moment. Try again when it has one."
                        + (_DOUBT if _in_doubt(kind, in_doubt, reissued) else "")
                    ) from None
            except transport.UnacceptableError as error:
                raise VaultError(f"{self.url} {error}{_DOUBT if _in_doubt(kind, True, reissued) else ''}") from None
            except transport.WireError as error:
                in_doubt = error.by_standby
                if error.untrusted:
                    raise VaultError(f"Could not trust {self.url}: {_distrust(error)}.") from None
                if last or not (error.never_sent or kind == "repeat"):
                    what = "could not be reached" if error.never_sent else "did not answer"
                    doubt = _DOUBT if _in_doubt(kind, in_doubt or not error.never_sent, reissued) else ""
                    if error.target:
                        raise VaultError(
                            f"Vault at {self.url} redirects to {error.target}, which {what}: {_reason(error)}. The cluster has no leader at "
                            f"the moment, or that address (its api_addr) cannot be reached from here.{doubt}"
                        ) from None
                    raise VaultError(f"Vault at {self.url} {what}: {_reason(error)}.{doubt}") from None
            else:
                message = " ".join(_errors_of(response))
                in_doubt = response.by_standby or _is_doubtful(message)
                if last or response.ok or not worth_repeating(kind, response.status_code, message):
                    response.reissued = reissued or (kind == "issue" and response.by_standby)
                    return response
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
        if self._has_met:
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
        self._has_met = True
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

    # -- errors become sentences -------------------------------------------------------------------------------------------

    def desired_value(self, response: t.Any) -> str:
        """What a refusal says, fit to be shown."""
        return self._clean("; ".join(_errors_of(response)))

    def _sentence(
        self, method: str, path: str, status: int, errors: t.Sequence[str], kind: Kind, reissued: bool
    ) -> Problem:
        message = self._clean("; ".join(errors))
        where = self.url + (f" in namespace {self.namespace}" if self.namespace else "")
        tried = {"get": "read", "list": "list", "delete": "delete"}.get(method, "write")
        if "namespace not found" in message:
            return VaultError(
                f"Vault at {self.url} has no namespace {self.namespace!r}. Correct namespace or create it.",
                status,
                message,
            )
        if "tainted" in message:
            return VaultError(
                f"Could not {tried} {path} on {where}: the mount is tainted, because a lease under it could not be revoked when it "
                "was disabled. Fix the revocation, or forget its leases with sys/leases/revoke-force (their database users stay "
                "behind), and disable it again.",
                status,
                message,
            )
        if "no handler for route" in message:
            cure = (
                "Enable the auth method with leasehold.vault.auth_mount"
                if path.startswith("auth/")
                else "Mount the engine with leasehold.vault.database_engine"
            )
            return MountMissing(
                f"Could not {tried} {path}: nothing is mounted there on {where}. {cure} or correct mount."
            )
        if status == 404 and not message:
            return VaultError(f"There is no {path} on {where}.", status, message)
        if status == 403:
            return Forbidden(f"Not allowed to {tried} {path} on {where}. {self._missing_right(method, path, errors)}")
        hint = " Unseal it first." if status == 503 and "sealed" in message else ""
        if any(text in message for text in _NOT_DONE):
            hint = " The cluster has no leader at the moment: try again when it has one."
        if _in_doubt(kind, status == 500 and _is_doubtful(message), reissued):
            hint += _DOUBT
        if method == "delete" and "failed to revoke" in message:
            hint = (
                " The mount is tainted now (its deletion did not finish): fix the revocation statements and disable it again, or forget its leases with "
                "sys/leases/revoke-force first (their database users stay behind)."
            )
        return VaultError(
            f"Could not {tried} {path}: Vault at {where} answered {status}: {message or 'nothing more'}.{hint}",
            status,
            message,
        )

    def _missing_right(self, method: str, path: str, errors: t.Sequence[str]) -> str:
        if not self.token:
            return "No token was given; set token, VAULT_TOKEN or another auth_method."
        if not any("1 error occurred" in error for error in errors):
            return "The token is expired, revoked or unknown to this server."
        # Nothing below sys/ is created, as the server sees it.
        needed = ("update",) if method == "post" and path.startswith("sys/") else _CAPABILITY[method]
        sudo = path in _SUDO_ALONE or path.startswith(_SUDO)
        asked = f"{path.rstrip('/')}/" if method == "list" else path
        try:
            if self.uses_left is not None:
                raise KeyError  # a question takes a use, and the last one ends what was issued under the token
            current = self._once("post", "/v1/sys/capabilities-self", {"paths": [asked]}).json()["data"][asked]
        except (
            transport.WireError,
            transport.LeaderlessError,
            transport.UnacceptableError,
            ValueError,
            KeyError,
            TypeError,
        ):
            current = []
        # A write creates what is not there and updates what is; the server alone knows which it was, and refused that.
        lacking = [one for one in needed if one not in current]
        missing = [" or ".join(lacking)] if lacking else []
        if sudo and "sudo" not in current:
            missing.append("sudo")
        has = f" and has {', '.join(current)} there" if current else ""
        return f"The token needs the capability {' and '.join(missing) or ' or '.join(needed)} on {path}{has}."

    def _clean(self, message: str) -> str:
        """On one line, without the secrets we know of and without the piece of SQL that may hold a generated password."""
        message = re.sub(r"\d+ errors? occurred:|[\n\t*]+", " ", message)
        for secret in sorted(set(self._masked), key=len, reverse=True):
            if len(secret) > 3:  # masking a letter would only mangle the text, and tell which letter it is
                message = message.replace(secret, "********")
        message = re.sub(r'(at or near ")(?![A-Z]+"|\W{1,2}")[^"]*"', r'\1********"', message)
        return re.sub(r"\s+", " ", message).strip(" .")


def duplicate_warning(answer: Values, thing: str) -> list[str]:
    """The warning that there may be another one of what this answer issued."""
    if not answer.get(REISSUED):
        return []
    return [
        f"The cluster lost its leader while it issued, and was asked again: it is unknown whether it had made another {thing} before."
    ]


def _in_doubt(kind: Kind, now: bool, reissued: bool) -> bool:
    return (now and kind != "repeat") or reissued


def worth_repeating(kind: Kind, status: int, message: str) -> bool:
    """Whether the same request may be sent again after this answer: the table measured on a failing cluster."""
    if status in (412, 429, 503) or any(text in message for text in _NOT_DONE):
        return True
    if status != 500 and not (status == 400 and _DATABASE_AWAY.search(message)):
        return False
    if kind == "rotate":
        return False
    if kind == "issue":
        return any(text in message for text in _UNDECIDED)
    return any(text in message for text in _UNDECIDED) or bool(_DATABASE_AWAY.search(message))


def _is_vaults(values: Values, kinds: t.Mapping[str, t.Any]) -> bool:
    return all(values.get(key) is None or isinstance(values[key], kind) for key, kind in kinds.items())


def _beyond(index: Values) -> str:
    return base64.b64encode(json.dumps({**index, "value": _ALWAYS_LATER}).encode()).decode()


def _raised(index: str) -> str:
    """An index of OpenBao beyond what any node has reached: several threads know it in any order.  Vault's is signed and stays."""
    try:
        return _beyond(json.loads(base64.b64decode(index)))
    except (ValueError, TypeError):
        return index


def _is_doubtful(message: str) -> bool:
    return _NOT_BEGUN not in message and any(text in message for text in _UNDECIDED)


def _errors_of(response: t.Any) -> list[str]:
    try:
        answer = response.json()
    except ValueError:
        return [response.text[:300]] if response.text else []
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return [str(error) for error in errors] if isinstance(errors, list) else []


def _means_absent(status: int, errors: t.Sequence[str]) -> bool:
    message = " ".join(errors)
    return (status == 404 and (not message or _NO_SUCH_POLICY in message)) or (
        status == 400 and message.startswith(_NO_SUCH_MOUNT)
    )


_DISTRUST = (
    ("mismatch", "its certificate is for another name. Use a name in url that the certificate holds"),
    ("expired", "its certificate has expired. Renew it on the server"),
    ("not yet valid", "its certificate is not valid yet. Look at the clocks"),
    ("certificate verify failed", "its certificate does not verify. Name the authority that signed it in ca_cert"),
    ("PROTOCOL", "it offers nothing newer than TLS 1.1, which does not protect. Let the server offer TLS 1.2 or newer"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS there. Correct the port in url, or turn TLS on at the server"),
    ("RECORD_LAYER_FAILURE", "it does not speak TLS there. Correct the port in url, or turn TLS on at the server"),
)


def _distrust(error: BaseException) -> str:
    """Why TLS did not come about, and what to do; what is not known here is quoted."""
    return next((why for words, why in _DISTRUST if words in str(error)), _reason(error))


def _reason(error: BaseException) -> str:
    """The last link of a chain of wrapped network errors, without the object addresses in it."""
    text = str(error)
    refused = re.search(
        r"(Connection refused|Name or service not known|[Tt]imed out|Connection reset by peer|Connection aborted)", text
    )
    return refused.group(1) if refused else re.sub(r"<[^>]*>", "", text)[:200]
