#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""End the sessions of users that are gone, on a primary and its standbys."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_sessions
short_description: End the sessions of users that are gone, on a primary and its standbys
description:
  - A revocation ends the sessions of its user on the primary only. On a standby they go on when the user is gone, with all that was granted to C(PUBLIC) and,
    where they act as a group (C(set_role), or before PostgreSQL 16), with the rights of the group.
  - Asks the primary how far it has written, waits until each standby has replayed that, and ends the sessions that have no user any more, and those of
    users whose access has ended. Looks again until there are none. All servers are looked at at the same time.
  - Which of the servers is the primary, is asked and not taken from O(nodes); after a fail-over it is another one.
  - In check mode sessions are counted, and not ended.
  - Talks to PostgreSQL only, not to Vault, and is not in the action group C(leasehold.vault.vault).
requirements:
  - psycopg2
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  nodes:
    required: true
  login_user:
    description: The role to log in as, a superuser or a member of C(pg_signal_backend).
  timeout:
    description: How long to wait for a standby to replay. Seconds, or V(2m).
    type: str
    default: 30s
  unreachable:
    description:
      - What to do, after all other servers, where one could not be asked or has not replayed in time. V(fail), or V(warn); RV(problems) has the sentences.
    type: str
    choices: [fail, warn]
    default: fail
extends_documentation_fragment:
  - leasehold.vault.nodes
  - leasehold.vault.postgresql_login
attributes:
  check_mode:
    support: full
    description: Counts the sessions that a run would end.
  diff_mode:
    support: none
    description: Sessions are counted only.
"""

EXAMPLES = r"""
- name: End sessions that have outlived their users
  leasehold.vault.postgresql_sessions:
    nodes: "{{ vault_databases | leasehold.vault.database_nodes }}"
    login_password: "{{ dba_password }}"
  vars:
    vault_databases:
      - name: production-db
        host: postgres.production.svc:5432
        database: appdb
        sslmode: verify-full
        admin: {username: vault_admin}
"""

RETURN = r"""
ended:
  description: How many sessions were ended, or would be.
  returned: always
  type: int
  sample: 2
nodes:
  description:
    - What was found on each server. C(in_recovery) is true for a standby, null where it could not be asked. Servers with the same C(started) are one.
  returned: always
  type: list
  elements: dict
  sample:
    - name: production-db
      host: db2.production.svc
      port: "5432"
      replica: true
      in_recovery: true
      started: "2026-01-31 11:00:00.123456+00"
      ended: 2
      problem: ""
problems:
  description: A sentence for each server on which sessions may go on.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import TaskWithoutVault
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import OPTIONS, run_module

TASK = TaskWithoutVault(OPTIONS, run_module)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
