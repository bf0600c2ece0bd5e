#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issue credentials of a dynamic role, or read those of a static role."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_credentials
short_description: Issue credentials of a dynamic role, or read those of a static role
description:
  - O(role) makes a new PostgreSQL user and returns how to log in as it. Every run makes another one and reports a change.
  - O(static_role) reads the current password of a user that stays.
  - A user ends with the token it was issued under, however long its lease. A token from O(auth_method=token) is left alone; one that the
    task got by logging in is kept when a user was issued. It ends with the run if the user was revoked during it, and at its own TTL otherwise,
    as it does when the task runs as a module on another host.
  - A token that is good for some requests only (C(num_uses)) is asked about before the user is issued; with its last use Vault ends the user, which
    a warning says.
  - The password is in the result. Set C(no_log=true) on the task, unless you want it in the output of C(-v) and in the log. With C(ANSIBLE_DEBUG),
    and with C(async), Ansible shows or stores the answer of a module whatever C(no_log) says; the task warns.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  role:
    description: Name of a dynamic role.
    type: str
  static_role:
    description: Name of a static role.
    type: str
requirements:
  - psycopg2 (Python library), where the task runs, for O(wait_for_replay)
extends_documentation_fragment:
  - leasehold.vault.nodes
  - leasehold.vault.nodes.replay
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.attributes.act
seealso:
  - plugin: leasehold.vault.database_credentials
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Issue a user for this deployment
  leasehold.vault.database_credentials:
    role: app-role
  register: issued
  no_log: true

- name: Issue a user that every standby knows when the task ends
  leasehold.vault.database_credentials:
    role: app-role
    nodes: [{host: "postgres.production.svc:5432", database: appdb, sslmode: verify-full}]
    wait_for_replay: 10s
  register: issued
  no_log: true
"""

RETURN = r"""
credentials:
  description: How to log in. In a check run, placeholders of the same shape.
  returned: success
  type: dict
  contains:
    username:
      description: The PostgreSQL user.
      type: str
      returned: success
    password:
      description: Its password. Shown unless the task has C(no_log).
      type: str
      returned: success
    lease_id:
      description: What to renew or revoke; empty for a static role.
      type: str
      returned: success
    lease_duration:
      description: Seconds, as Vault returned; for a static role those until the next rotation.
      type: int
      returned: success
    expires_in:
      description: Seconds until the user really ends, that is, the shorter of the lease and its token.
      type: int
      returned: success
    expires_at:
      description: The same as a time, ISO 8601 in UTC.
      type: str
      returned: success
    renewable:
      description: Whether the lease can be renewed.
      type: bool
      returned: success
    last_vault_rotation:
      description: When Vault set the password, as it says so.
      type: str
      returned: for a static role
      version_added: 1.1.0
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import (
    issue_credentials,
    issued_lease,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import REPLAY_FIELDS

TASK = act(
    (MOUNT, Field("role", normalize=name), Field("static_role", normalize=name), *REPLAY_FIELDS),
    issue_credentials,
    issues=issued_lease,
    mutually_exclusive=[("role", "static_role")],
    required_one_of=[("role", "static_role")],
)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
