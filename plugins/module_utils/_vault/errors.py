# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What an error of Vault or OpenBao means, and the text that explains it: what was tried, where, the server's words, what to do."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, MountMissing, Problem

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

Kind = t.Literal["repeat", "issue", "rotate"]
"""What a request may cost when it is sent twice.

repeat: nothing (reads, the same write again, revocations).  issue: a second database user.  rotate: a password nobody knows.
"""

# Failures during a change of leader, by the texts the server uses for them; nothing was done when these are answered.
NOT_DONE = ("local node not active but active cluster node not found",)
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
DOUBT = " It is unknown whether the request was carried out."
# There is nothing: by these words where it is not a bare 404.
_NO_SUCH_MOUNT = ("No secret engine mount at", "No auth engine at", "cannot fetch sysview for path")
_NO_SUCH_POLICY = "policy does not exist"
# Of class 08, which poolers use for all that they say themselves, only what is about the connection.
_DATABASE_AWAY = re.compile(r"SQLSTATE (?:53300|57P03|0800[01346])")
_SQLSTATE = re.compile(r"SQLSTATE (\w{5})")
# Vault before 1.11, whose driver was lib/pq, names the wrong password without a code; PgBouncer up to 1.18 with a code for protocol errors.
_WRONG_PASSWORD = re.compile(
    r"SQLSTATE 28P01|pq: password authentication failed"
    r"|(?:(?:SASL|password) authentication failed|no such user)[^()]*\(SQLSTATE 08P01\)"
)
_CAPABILITY = {
    "get": ("read",),
    "list": ("list",),
    "post": ("create", "update"),
    "put": ("update",),
    "delete": ("delete",),
}
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
    """The server answered with an error, or did not answer (`status` 0).  `message`: the server's own text."""

    def __init__(self, sentence: str, status: int = 0, message: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.message = message
        found = _SQLSTATE.search(message)
        self.sqlstate = found.group(1) if found else ""

    @property
    def unanswered(self) -> bool:
        """The request may or may not have been carried out."""
        return self.status == 0 or any(word in self.message for word in _UNDECIDED)

    @property
    def in_doubt(self) -> bool:
        """What must not be done twice may have been done; the text of the error says so."""
        return DOUBT in str(self)

    @property
    def away(self) -> bool:
        """The server can do nothing for anybody at the moment."""
        return self.status == 0 or worth_repeating("rotate", self.status, self.message)

    @property
    def wrong_password(self) -> bool:
        return bool(_WRONG_PASSWORD.search(self.message))

    @property
    def refused_by_database(self) -> bool:
        """The database refuses the user or its password; any other error says nothing about them."""
        return self.wrong_password or (self.sqlstate == "28000" and "not permitted to log in" in self.message)


class Explainer:
    """Makes an exception of an error that one server answered, with the secrets passed to `mask()` left out."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url, self.namespace = url, namespace
        self._masked: list[str] = []

    def mask(self, *secrets: str | None) -> None:
        """Leave these out of every text from now on, whatever the server echoes."""
        self._masked.extend(secret for secret in secrets if secret)

    def clean(self, message: str) -> str:
        """On one line, without the secrets we know of and without the piece of SQL that may hold a generated password."""
        message = re.sub(r"\d+ errors? occurred:|[\n\t*]+", " ", message)
        for secret in sorted(set(self._masked), key=len, reverse=True):
            if len(secret) > 3:  # masking a letter would only mangle the text, and tell which letter it is
                message = message.replace(secret, "********")
        message = re.sub(r'(at or near ")(?![A-Z]+"|\W{1,2}")[^"]*"', r'\1********"', message)
        return re.sub(r"\s+", " ", message).strip(" .")

    def error(
        self, method: str, path: str, status: int, errors: t.Sequence[str], doubt: bool, missing: t.Callable[[], str]
    ) -> Problem:
        """The exception for an answer that is an error; `doubt`: it may have been carried out, `missing`: see `missing_right`."""
        message = self.clean("; ".join(errors))
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
            return Forbidden(f"Not allowed to {tried} {path} on {where}. {missing()}")
        hint = " Unseal it first." if status == 503 and "sealed" in message else ""
        if any(text in message for text in NOT_DONE):
            hint = " The cluster has no leader at the moment. Try again when it has one."
        if doubt:
            hint += DOUBT
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


def missing_right(method: str, path: str, current: t.Sequence[str]) -> str:
    """Which capability the token lacks; ``current``: those it has on the path, empty if that is unknown."""
    # Nothing below sys/ is created, as the server sees it.
    needed = ("update",) if method == "post" and path.startswith("sys/") else _CAPABILITY[method]
    # A write creates what is not there and updates what is; the server alone knows which it was, and refused that.
    lacking = [one for one in needed if one not in current]
    missing = [" or ".join(lacking)] if lacking else []
    if (path in _SUDO_ALONE or path.startswith(_SUDO)) and "sudo" not in current:
        missing.append("sudo")
    has = f" and has {', '.join(current)} there" if current else ""
    return f"The token needs the capability {' and '.join(missing) or ' or '.join(needed)} on {path}{has}."


def duplicate_warning(answer: Values, thing: str) -> list[str]:
    """The warning that there may be another one of what this answer issued."""
    if not answer.get(REISSUED):
        return []
    return [
        f"The cluster lost its leader while it issued, and was asked again: it is unknown whether it had made another {thing} before."
    ]


def is_in_doubt(kind: Kind, now: bool, reissued: bool) -> bool:
    return (now and kind != "repeat") or reissued


def worth_repeating(kind: Kind, status: int, message: str) -> bool:
    """Whether the same request may be sent again after this answer: the table measured on a failing cluster."""
    if status in (412, 429, 503) or any(text in message for text in NOT_DONE):
        return True
    if status != 500 and not (status == 400 and _DATABASE_AWAY.search(message)):
        return False
    if kind == "rotate":
        return False
    if kind == "issue":
        return any(text in message for text in _UNDECIDED)
    return any(text in message for text in _UNDECIDED) or bool(_DATABASE_AWAY.search(message))


def is_undecided(message: str) -> bool:
    return _NOT_BEGUN not in message and any(text in message for text in _UNDECIDED)


def errors_of(response: t.Any) -> list[str]:
    try:
        answer = response.json()
    except ValueError:
        return [response.text[:300]] if response.text else []
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return [str(error) for error in errors] if isinstance(errors, list) else []


def means_absent(status: int, errors: t.Sequence[str]) -> bool:
    message = " ".join(errors)
    return (status == 404 and (not message or _NO_SUCH_POLICY in message)) or (
        status == 400 and message.startswith(_NO_SUCH_MOUNT)
    )


_TLS_FAILURES = (
    ("mismatch", "its certificate is for another name. Use a name in url that the certificate contains"),
    ("expired", "its certificate has expired. Renew it on the server"),
    ("not yet valid", "its certificate is not valid yet. Check the clocks"),
    (
        "certificate verify failed",
        "its certificate does not verify. Set ca_cert to the certificate of the authority that signed it",
    ),
    ("PROTOCOL", "it offers only TLS 1.1 or older, which is insecure. Enable TLS 1.2 or newer on the server"),
    ("WRONG_VERSION_NUMBER", "it does not use TLS on this port. Correct the port in url, or enable TLS on the server"),
    ("RECORD_LAYER_FAILURE", "it does not use TLS on this port. Correct the port in url, or enable TLS on the server"),
)


def tls_failure(error: BaseException) -> str:
    """Why the TLS handshake failed, and what to do; an unknown reason is quoted."""
    return next((why for words, why in _TLS_FAILURES if words in str(error)), network_failure(error))


def network_failure(error: BaseException) -> str:
    """The last link of a chain of wrapped network errors, without the object addresses in it."""
    text = str(error)
    refused = re.search(
        r"(Connection refused|Name or service not known|[Tt]imed out|Connection reset by peer|Connection aborted)", text
    )
    return refused.group(1) if refused else re.sub(r"<[^>]*>", "", text)[:200]
