# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The API of Vault and OpenBao: objects, lists, mounts and leases by their path."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import MountMissing, NotConverged
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import (
    REISSUED,
    Kind,
    VaultError,
    errors_of,
    is_in_doubt,
    is_undecided,
    means_absent,
    missing_right,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.sender import Sender

if t.TYPE_CHECKING:
    import builtins

    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

# 200, and something in the request had no effect.
_IGNORED = re.compile(r"Endpoint ignored these unrecognized parameters: \[(.*)\]")
# What the endpoint of a connection does not know itself it hands on to the database plugin, and lists as ignored.
_HANDS_ON = re.compile(r"(?!auth/|sys/).+/config/[^/]+")
_SECRETS = ("password", "private_key", "secret_id", "service_account_json", "token", "token_reviewer_jwt")
PAGE = 1000  # keys asked for at once
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


class Client(Sender):
    """A session with one server, in one namespace."""

    def notices(self) -> builtins.list[str]:
        """The ``warnings`` of the server's answers since the last call."""
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

    def revoke_lease(self, lease_id: str) -> None:
        """End a lease and its user, now; a lease that has ended is fine."""
        self.ask("put", "sys/leases/revoke", {"lease_id": lease_id})

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
        response, reissued = self.send(method, f"/v1/{path}", body, kind, params, headers)
        if response.ok:
            answer = self.content_of(path, response)
            lacking = [key for key in needs if answer.get(key) is None and (answer.get("data") or {}).get(key) is None]
            if lacking:
                raise VaultError(
                    f"The server at {self.url} is not Vault: {path} is answered without {' and '.join(lacking)}. Correct url, or check for a proxy "
                    "on the way."
                )
            if reissued:
                answer[REISSUED] = True
            if kind != "issue":  # whoever issues hands them out with what was issued
                self._heed(path, body or {}, answer.get("warnings") or [])
            return answer
        errors = errors_of(response)
        if absent_ok and means_absent(response.status_code, errors):
            return None
        doubt = is_in_doubt(kind, response.status_code == 500 and is_undecided(" ".join(errors)), reissued)
        missing = functools.partial(self._missing_right, method, path, errors)
        raise self.explainer.error(method, path, response.status_code, errors, doubt, missing)

    def _heed(self, path: str, body: Values, warnings: t.Sequence[str]) -> None:
        """Fail when the server took a request and ignored a part of it; keep everything else that it warns about."""
        for warning in warnings:
            found = _IGNORED.search(warning)
            if not found:
                self._notices.append(f"{path}: {self.explainer.clean(warning)}")
            elif not _HANDS_ON.fullmatch(path):
                # To ignore what is empty or false is what asks for it; parameters of the query page a list, where there are pages.
                lost = sorted(name for name in found[1].split() if body.get(name))
                if lost:
                    raise NotConverged(
                        f"Vault took the write of {path} and ignored {', '.join(lost)}: {self.identity} does not know it. Leave it out, or "
                        "use a server that knows it."
                    )

    def content_of(self, path: str, response: t.Any) -> Values:
        """What a good answer holds; an error if it is not an answer of Vault, such as a login page."""
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
                f"The server at {self.url} is not Vault: {path} was answered with something other than Vault's JSON. Correct url, or check for a "
                "proxy or a login page on the way.",
                response.status_code,
            )
        return answer

    def message_of(self, response: t.Any) -> str:
        """The errors of an answer, fit to be shown."""
        return self.explainer.clean("; ".join(errors_of(response)))

    def _missing_right(self, method: str, path: str, errors: t.Sequence[str]) -> str:
        if not self.token:
            return "No token was given; set token, VAULT_TOKEN or another auth_method."
        if not any("1 error occurred" in error for error in errors):
            return "The token is expired, revoked or unknown to this server."
        return missing_right(method, path, self._capabilities(f"{path.rstrip('/')}/" if method == "list" else path))

    def _capabilities(self, path: str) -> tuple[str, ...]:
        """What the token may do on a path; empty if that cannot be asked."""
        if self.uses_left is not None:
            return ()  # a question takes a use, and the last one ends what was issued under the token
        try:
            return tuple(self._once("post", "/v1/sys/capabilities-self", {"paths": [path]}).json()["data"][path])
        except (
            transport.WireError,
            transport.LeaderlessError,
            transport.UnacceptableError,
            ValueError,
            KeyError,
            TypeError,
        ):
            return ()


def _is_vaults(values: Values, kinds: t.Mapping[str, t.Any]) -> bool:
    return all(values.get(key) is None or isinstance(values[key], kind) for key, kind in kinds.items())
