#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find orphaned PostgreSQL users, issued by Vault and without a lease."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_orphans_info
short_description: Find orphaned PostgreSQL users, issued by Vault and without a lease
description:
  - Looks into the database of a connection, and at the leases, and tells which users are left over. It changes nothing; its session is read-only.
  - A user counts when its name is one that the connection's C(username_template) makes, it has a C(VALID UNTIL), and nobody else made it.
    PostgreSQL 16 and later tell who made a user; before, the name must be that of a role of this connection.
  - Vault does not tell which lease is whose. Users and leases of a role are paired by the second in the name, the time of issue, and C(VALID
    UNTIL); what stays in doubt is called V(unknown).
  - Needs C(read) on the connection, C(list) and C(read) on the roles, C(list) and C(sudo) on C(sys/leases/lookup/<mount>/creds), C(update)
    on C(sys/leases/lookup); and for the leases of other mounts, which may use the same database, C(read) on C(sys/mounts) and the same rights
    there. What lacks is named.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
requirements:
  - psycopg2 (Python library), where the task runs
options:
  name:
    description: Name of the connection.
    type: str
    required: true
    aliases: [connection_name]
  login_user:
    description: The PostgreSQL user that reads the database. Any user that may connect suffices.
    type: str
    required: true
  min_age:
    description: Users younger than this are not judged, because their leases may be on their way.
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
- name: Look for users that no lease holds
  leasehold.vault.database_orphans_info:
    name: production-db
    login_user: "{{ db.username }}"
    login_password: "{{ db.password }}"
  vars:
    db: "{{ lookup('leasehold.vault.database_credentials', 'app-role') }}"
  register: found
"""

RETURN = r"""
orphans:
  description:
    - The users that no lease holds, and how certain that is.
    - C(certainty) is V(expired_and_leaseless) (safe to remove), V(leaseless) (no lease holds it, but it can still log in, or somebody else
      may have made it) or V(unknown) (see C(why); for instance because the leases could not be listed).
    - C(parked) are those that revocation left without access because they could not be dropped; C(why) has the reason. C(databases) are those in which
      it owns something or holds a privilege.
  returned: success
  type: list
  elements: dict
  sample:
    - username: v-approle-app-role-9l9F9EmTO74d0uUKHUhJ-1795304493
      certainty: expired_and_leaseless
      why: It has expired and has no lease.
      made_at: "2026-11-21T22:21:33Z"
      valid_until: "2026-11-21T23:21:38Z"
      expired: true
      parked: false
      sessions: 0
      databases: [appdb]
removal:
  description:
    - The SQL that removes those that are not V(unknown). It is to be executed in this order, each in its database, by a superuser or by who made
      the user. It ends the user's sessions and gives its objects to whom the role's revocation would have given them.
    - What the user has prepared is rolled back first, which only a superuser may; with C(autocommit), it is not to be executed in a transaction.
  returned: success
  type: list
  elements: dict
  sample:
    - username: v-approle-app-role-9l9F9EmTO74d0uUKHUhJ-1795304493
      certainty: expired_and_leaseless
      parked: false
      database: appdb
      query: DO $do$ …
counts:
  description: The number of orphans by certainty.
  returned: success
  type: dict
  sample: {expired_and_leaseless: 1, leaseless: 0, unknown: 0}
users:
  description: The number of users that were recognised, with those that have a lease.
  returned: success
  type: int
sessions_without_user:
  description: The number of sessions on the server whose users are gone. Whoever may end sessions should.
  returned: success
  type: int
  sample: 0
open_databases:
  description: Databases of the server, beside that of the connection, that PUBLIC may connect to. A warning names them.
  returned: success
  type: list
  elements: str
  sample: []
looked_at:
  description: The database, in the words of libpq.
  returned: success
  type: dict
  sample: {host: postgres.production.svc, port: "5432", dbname: appdb, sslmode: verify-full}
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, text
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.orphans import LOGIN_FIELDS, read_orphans
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import named

TASK = act(
    (
        MOUNT,
        named("connection_name"),
        text("login_user", spec={"required": True}),
        *LOGIN_FIELDS,
        text("min_age", spec={"default": "2m"}),
    ),
    read_orphans,
)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
