#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the health of a database connection, without changing anything."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_health_info
short_description: Check the health of a database connection, without changing anything
description:
  - Asks whether Vault can log in to the database of a connection, whether the admin role there is as it has to be, and whether live leases have
    their users and users their leases. This is what differs after one of the servers was restored, or after a fail-over.
  - Vault is asked for its login by C(reset) of the connection. It closes its sessions in the database and opens new ones; no object in Vault or
    PostgreSQL is changed. The session of O(login_user) is read-only.
  - A standby, or a server without the admin role, may not have the newest users, so its users and leases are not judged. That a live lease
    has no user is only certain where a login of Vault is seen after a C(reset), which a pooler between hides.
  - What could not be looked at is a difference of its own, with the state V(unknown).
  - Needs C(read) on the connection, C(update) on C(<mount>/reset/<name>), and what M(leasehold.vault.database_orphans_info) needs.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
requirements:
  - psycopg2 (Python library), where the task runs
options:
  name:
    description: Name of the connection.
    type: str
    required: true
    aliases: [connection_name]
  look:
    description:
      - What to look at.
      - V(login) asks Vault whether it can log in.
      - V(admin) compares the connection's PostgreSQL user with what issuing and revoking takes; V(users) compares users and leases. Both need O(login_user).
    type: list
    elements: str
    choices: [login, admin, users]
    default: [login, admin, users]
  login_user:
    description: The PostgreSQL user that reads the database. Any user that may connect suffices.
    type: str
  min_age:
    description: Users and leases younger than this are not judged, because their counterparts may be on their way.
    type: str
    default: 2m
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.database_login
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Ask whether Vault can log in
  leasehold.vault.database_health_info:
    name: production-db
    look: [login]
  register: health

- name: It can
  ansible.builtin.assert:
    that: health.login == 'ok'
"""

RETURN = r"""
login:
  description: Whether Vault can log in, V(ok), V(refused) or V(unknown); empty if it was not asked.
  returned: success
  type: str
  sample: ok
differences:
  description:
    - What is not as it should be (C(state) V(differs)), or could not be looked at (V(unknown)), one entry an object.
    - C(kind) is V(connections), V(users), V(leases) or V(sessions). C(cure) says what to do.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: connections
      name: production-db
      state: differs
      detail: "Vault cannot log in: the admin role vault_admin has expired (VALID UNTIL 2026-11-21 23:21:38+00)"
      cure: the playbook leasehold.vault.site replaces the password and rotates it, with the DBA's login
orphans:
  description: Orphaned users, as M(leasehold.vault.database_orphans_info) returns them.
  returned: success
  type: list
  elements: dict
  sample: []
removal:
  description: The SQL that removes orphans, as M(leasehold.vault.database_orphans_info) returns it.
  returned: success
  type: list
  elements: dict
  sample: []
userless_leases:
  description: Live leases, older than O(min_age), whose users certainly do not exist on the server that Vault logs in to.
  returned: success
  type: list
  elements: str
  sample: []
repair:
  description:
    - Statements for a superuser that let the admin role revoke users which another role has made (PostgreSQL 16 and later).
    - Only for users that were made in the same second as a live lease, and end with it.
  returned: success
  type: list
  elements: str
  sample: []
looked_at:
  description: The database, in the words of libpq.
  returned: when O(login_user) logged in
  type: dict
  sample: {host: postgres.production.svc, port: "5432", dbname: appdb, sslmode: verify-full}
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._operations.health import ASPECTS, read_health
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.orphans import LOGIN_FIELDS
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import named

TASK = act(
    (
        MOUNT,
        named("connection_name"),
        Field("look", type="list", spec={"elements": "str", "choices": list(ASPECTS), "default": list(ASPECTS)}),
        text("login_user"),
        *LOGIN_FIELDS,
        text("min_age", spec={"default": "2m"}),
    ),
    read_health,
)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
