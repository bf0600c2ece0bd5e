#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renew or revoke leases."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Renew or revoke leases
description:
  - O(state=present) makes sure that a lease lives at least O(valid_for) longer. It is renewed only when it has to be. When it cannot live that
    long (the hard limit of its role, or the end of its token), the task fails and says so; Vault itself would answer with a shorter life.
  - O(state=absent) revokes one lease, or all below a prefix, at once. A lease that has ended is fine.
  - A whole prefix needs C(sudo) on C(sys/leases/lookup/<prefix>) and C(sys/leases/revoke-prefix/<prefix>), O(force) on
    C(sys/leases/revoke-force/<prefix>).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  lease_id:
    description: The lease, as it was returned when it was issued.
    type: str
  prefix:
    description: All leases below this path, for instance C(database/creds/app-role). Only with O(state=absent).
    type: str
  state:
    description: Whether the lease shall live.
    type: str
    choices: [present, absent]
    default: present
  valid_for:
    description: How much longer it must live at least. Seconds, or V(90m), V(1h30m).
    type: str
  increment:
    description: How much to ask for when it is renewed, if more than O(valid_for).
    type: str
  force:
    description:
      - With O(state=absent), forget leases that cannot be revoked. Their users stay in the database, and the warnings say which.
    type: bool
    default: false
  nodes:
    description:
      - With O(state=absent), end the sessions of users that are gone on these servers, standbys too, when the lease has ended. The revocation itself ends those
        on the primary. As M(leasehold.vault.postgresql_sessions) does, with O(login_user).
requirements:
  - psycopg2 (Python library), where the task runs, for O(nodes)
extends_documentation_fragment:
  - leasehold.vault.nodes
  - leasehold.vault.nodes.login
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.attributes.act
"""

EXAMPLES = r"""
- name: Make sure that the credentials last through the migration
  leasehold.vault.lease:
    lease_id: "{{ issued.credentials.lease_id }}"
    valid_for: 30m

- name: Give them back
  leasehold.vault.lease:
    lease_id: "{{ issued.credentials.lease_id }}"
    state: absent

- name: Break glass, end every user of a role
  leasehold.vault.lease:
    prefix: database/creds/app-role
    state: absent

- name: End a user, and its sessions on standbys
  leasehold.vault.lease:
    lease_id: "{{ issued.credentials.lease_id }}"
    state: absent
    nodes: [{host: "postgres.production.svc:5432", database: appdb, sslmode: verify-full}]
    login_user: postgres
    login_password: "{{ dba_password }}"
"""

RETURN = r"""
lease:
  description: The lease as it now is; C(lease_duration) is what Vault returned, C(expires_in) the seconds it really has left.
  returned: with state present
  type: dict
  sample:
    lease_id: database/creds/app-role/XzyfzZK5FJoTVCYNSH3cnKGD
    lease_duration: 1800
    expires_in: 1800
    expires_at: "2026-01-31T12:30:00Z"
    renewable: true
revoked:
  description: How many leases this run ended.
  returned: with state absent
  type: int
remaining:
  description: How many are left.
  returned: with state absent
  type: int
ended_sessions:
  description: How many sessions without a user were ended on O(nodes).
  returned: with nodes, unless in check mode a lease would be revoked
  type: int
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import renew_or_revoke
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import SESSION_FIELDS

TASK = act(
    (
        Field("lease_id"),
        Field("prefix"),
        Field("state", spec={"choices": ["present", "absent"], "default": "present"}),
        Field("valid_for"),
        Field("increment"),
        Field("force", type="bool", spec={"default": False}),
        *SESSION_FIELDS,
    ),
    renew_or_revoke,
    mutually_exclusive=[("lease_id", "prefix")],
    required_one_of=[("lease_id", "prefix")],
)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
