# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Rate limit quotas: how many requests the server takes from one client address in an interval."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import duration, flag, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostics,
    Field,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds


def _interval(value: t.Any) -> int:
    """The server takes 0 for its default, a second."""
    return seconds(value) or 1


def _path(value: t.Any) -> str:
    """The server shows the path of a mount with a slash at its end."""
    return str(value).strip("/")


def _complete(desired: Values, plan: Plan) -> Diagnostics:
    """A write replaces the whole quota, and one without a path limits all requests of the server."""
    if plan.action not in ("create", "update"):
        return ()
    if not plan.after.get("rate", 0) > 0:
        raise Refused("rate is needed: the number of requests in an interval, greater than 0.")
    if plan.action == "create" and desired.get("path") is None:
        raise Refused(
            "path is needed: a mount or a path below one. An empty one limits the requests of the whole server."
        )
    if plan.after.get("role") and not plan.after.get("path", "").startswith("auth/"):
        raise Refused("role is that of a login, so path must be an auth mount, auth/<mount>.")
    return ()


def _role_is_understood(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """OpenBao 2.7 asks the method for the role when the quota is written; JWT's method breaks off, and the server answers nothing."""
    if not plan.after.get("role") or server.identity.product != "openbao":
        return ()
    mount = plan.after["path"].removeprefix("auth/")
    try:
        current = server.read(f"sys/auth/{mount}") or {}
    except Forbidden:
        current = {}
    if current.get("type") in ("jwt", "oidc"):
        raise Refused(
            f"Not sent: {server.identity} breaks off a request for a quota of a role of auth/{mount}, which is {current['type']}. Limit all logins "
            f"there with path: auth/{mount}/login, without role."
        )
    return ()


RATE_LIMIT_QUOTA = Resource(
    kind="rate_limit_quota",
    path="sys/quotas/rate-limit/{name}",
    identity=(Field("name", normalize=name, spec={"required": True}),),
    fields=(
        Field("rate", type="float", normalize=float, resend=True),
        Field("interval", normalize=_interval, default=1, resend=True),
        duration("block_interval", resend=True),
        Field("path", normalize=_path, default="", resend=True),
        text("role", default="", resend=True),
        flag("inheritable", internal=True, resend=True),
    ),
    validators=(_complete,),
    pre_write_checks=(_role_is_understood,),
)
