# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Dynamic roles: the SQL and the TTLs of the users that Vault makes."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    MOUNT,
    duration,
    statements,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import verification
from ansible_collections.leasehold.vault.plugins.module_utils._resources import dependents
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import (
    allowed_by_connection,
    is_allowed,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import (
    CREDENTIAL,
    credential_policy,
    named,
    ordered_ttls,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import known_to_server

_USER = re.compile(r"\{\{(name|username)\}\}")


def _can_issue(desired: Values, plan: Plan) -> Diagnostics:
    if plan.action not in ("create", "update"):
        return ()
    if not plan.after.get("db_name"):
        raise Refused("db_name is needed: the name of the connection this role belongs to.")
    creation = plan.after.get("creation_statements") or []
    if not creation and plan.before.get("creation_statements") != []:
        raise Refused("creation_statements are empty, so no user could be made; use in_role, or give the SQL.")
    if desired.get("creation_statements") is not None and creation and not any(_USER.search(s) for s in creation):
        raise Refused(
            "creation_statements do not hold {{name}}. If they do in your file, Ansible has templated it away: mark the SQL !unsafe."
        )
    return ()


_UNDOES = re.compile(r"\bDROP\s+OWNED\b|\bREVOKE\b|leasehold\.revoke", re.IGNORECASE)
_GRANTS_TABLES = re.compile(
    r"\bGRANT\b.*?\bON\s+(?!SCHEMA\b|DATABASE\b|FUNCTION\b|LANGUAGE\b)\S", re.IGNORECASE | re.DOTALL
)


def _can_revoke(desired: Values, plan: Plan) -> Diagnostics:
    """Accept people's own SQL, and say what it will do to them."""
    if desired.get("creation_statements") is None or desired.get("in_role") is not None:
        return
    grants = any(_GRANTS_TABLES.search(_statements.bare(s)) for s in plan.after.get("creation_statements") or [])
    revocation = " ".join(plan.after.get("revocation_statements") or [])
    undoes = _UNDOES.search(revocation)
    if grants and revocation and not undoes:
        yield Diagnostic(
            "creation_statements grant rights on tables and revocation_statements do not take them back: every revocation will fail "
            'with "role cannot be dropped because some objects depend on it" (SQLSTATE 2BP01), users will pile up, and at about '
            '2,440 of them issuing stops with "row is too big". Grant to a group role once and use in_role, or revoke with REASSIGN '
            "OWNED, DROP OWNED and DROP ROLE."
        )
    elif not revocation:
        yield Diagnostic(
            "There are no revocation_statements, and Vault's own revocation only works while the admin has all rights, with grant "
            "option, on every table and sequence the user can see. Use in_role, or give revocation_statements."
        )


def _outlives_revocation(desired: Values, plan: Plan) -> Diagnostics:
    if desired.get("set_role"):
        yield Diagnostic(
            "set_role: a session that reconnects while its user is being revoked may keep the group's rights until it ends; use it for "
            "migrations, not for application pools."
        )


def _with_functions_in_use(server: Server, desired: Values, answer: Values | None) -> Values:
    """Without them an admin role that has no CREATEROLE can neither make nor end a user: only ``functions: none`` gives them up."""
    if desired.get("in_role") is None or desired.get("functions") is not None:
        return desired
    if not (_uses_functions(answer) if answer is not None else _neighbours_use_functions(server, desired)):
        return desired
    if desired.get("set_role"):
        raise Refused(
            f"The users of the role {desired['name']} are made by the functions that postgresql_access installs, and these make none that act as "
            "another role. For set_role, say functions: none, with an admin role that has CREATEROLE; or make another role for it."
        )
    others = {option: value for option, value in desired.items() if option not in _statements.OWNED}
    return _statements.expand({**others, "functions": "leasehold"})


def _uses_functions(answer: Values) -> bool:
    return "leasehold.issue(" in str(answer.get("creation_statements"))


def _neighbours_use_functions(server: Server, desired: Values) -> bool:
    """Whether other roles of the connection have them: the first that has, or that ``in_role`` wrote without them, decides.

    One that cannot be read decides nothing.
    """
    mount, connection = MOUNT.desired_value(desired), desired.get("db_name")
    if not connection or desired.get("set_role"):
        return False
    try:
        allowed = (server.read(f"{mount}/config/{name(connection)}") or {}).get("allowed_roles") or []
        names = [each for each in server.list(f"{mount}/roles") if is_allowed(each, allowed)] if allowed else []
    except (Forbidden, ValueError):
        return False
    for each in names:
        with contextlib.suppress(Forbidden):
            role = server.read(f"{mount}/roles/{each}") or {}
            if role.get("db_name") == connection and (_uses_functions(role) or _is_plain(role)):
                return _uses_functions(role)
    return False


def _is_plain(role: Values) -> bool:
    """Whether ``in_role`` wrote its statements as it does for PostgreSQL 16 and newer."""
    current = {option: statements(option).current_value(role) for option in _statements.OWNED}
    return any(not {"functions", "set_role"} & set(shorthand) for shorthand in _statements.shorthands(current))


ROLE = Resource(
    kind="role",
    path="{mount}/roles/{name}",
    identity=(MOUNT, named("role_name")),
    derive=_statements.expand,
    as_in_use=_with_functions_in_use,
    shorthand={**_statements.OPTIONS, **verification.OPTIONS},
    fields=(
        text("db_name"),
        statements("creation_statements"),
        statements("revocation_statements"),
        statements("renew_statements"),
        statements("rollback_statements"),
        duration("default_ttl"),
        duration("max_ttl"),
        *CREDENTIAL,
    ),
    validators=(
        ordered_ttls("default_ttl", "max_ttl"),
        _can_issue,
        _can_revoke,
        _outlives_revocation,
    ),
    requirements=(known_to_server("role", lambda desired: f"{MOUNT.desired_value(desired)}/roles/{desired['name']}"),),
    pre_write_checks=(allowed_by_connection, dependents.ttls_within_limit, credential_policy),
    post_write_checks=(verification.verify,),
    leases=lambda server, desired: [f"{MOUNT.desired_value(desired)}/creds/{desired['name']}"],
    endangers=dependents.role_endangers_leases,
)
