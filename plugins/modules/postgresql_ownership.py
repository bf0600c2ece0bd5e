#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand over what PostgreSQL roles own in a database, while it is in use."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_ownership
short_description: Hand over what PostgreSQL roles own in a database, while it is in use
description:
  - Gives everything that some roles own in a database to another role, object by object, each in a transaction of its own. A statement is cut off
    after O(lock_timeout), so that others, who wait behind it, wait no longer than that; what is in use is tried again after a O(pause).
  - C(REASSIGN OWNED) does the same with locks on all objects at once, and takes from the former owner what it could do as the owner. Here it keeps its
    privileges, granted, but for C(REFERENCES), C(TRIGGER) and C(MAINTAIN); it can no longer alter or drop the objects.
  - What somebody would lose by it is not handed over, and named. That is a table whose row level security does not hold for its owner, a view on what
    the new owner may not read, a view or a rule that writes to what the new owner may not, and an object in a schema that the new owner may not use.
  - A run in check mode is the plan.
  - Talks to PostgreSQL only, not to Vault, and is not in the action group C(leasehold.vault.vault).
requirements:
  - psycopg2
author:
  - The leasehold.vault authors (@leasehold)
seealso:
  - module: leasehold.vault.postgresql_cutover
version_added: 1.1.0
options:
  database:
    description: The database. What the roles own in others is a warning.
    type: str
    required: true
  owner:
    description: The role that owns the objects then. It must not be a superuser.
    type: str
    required: true
  roles:
    description: The roles that own them now. They must not be superusers.
    type: list
    elements: str
    default: []
  ended_users:
    description:
      - Also take what users of Vault left behind, that is roles whose names begin with C(v-) and that can no longer log in. They keep no privileges, and
        C(SECURITY DEFINER) is taken from functions, views get C(security_invoker), and rules are dropped.
      - Not handed over, and named, is what would run their code with the rights of the new owner nevertheless; that is materialized views (C(REFRESH)),
        tables with such code in indexes, extended statistics and range types (C(ANALYZE), which autovacuum does, and C(REINDEX)), tables with such
        code in triggers, checks or defaults and a foreign key that changes rows (C(ON DELETE CASCADE)), and views on PostgreSQL 14 and older. Code is
        what no superuser owns. Other triggers, checks, defaults and generated columns run with the rights of whoever uses the table; that may be the
        new owner itself.
      - What users own that still have a session is not handed over, and named.
    type: bool
    default: false
  lock_timeout:
    description: Milliseconds after which a statement that waits is cut off. Others wait behind it as long.
    type: int
    default: 500
  tries:
    description: How often an object that is in use is tried.
    type: int
    default: 20
  pause:
    description: Seconds between two tries of an object.
    type: float
    default: 1.0
  login_user:
    description: The role to log in as, a superuser, or one that is or may become a member of both sides; it becomes one while it works.
extends_documentation_fragment:
  - leasehold.vault.postgresql_login
  - leasehold.vault.postgresql_login.server
attributes:
  check_mode:
    support: full
    description: Predicts each change; what is in use at the moment of a run, it cannot.
  diff_mode:
    support: full
    description: The owner of each object.
"""

EXAMPLES = r"""
- name: Hand over what the old login owns
  leasehold.vault.postgresql_ownership:
    database: appdb
    owner: app_owner
    roles: [billing]
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"

- name: Hand over what users of Vault have left
  leasehold.vault.postgresql_ownership:
    database: appdb
    owner: app_owner
    ended_users: true
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"
"""

RETURN = r"""
changes:
  description:
    - The objects that have the new owner, or would have it, one line each. After a connection that was lost half way these are those of which PostgreSQL
      has confirmed it.
  returned: always
  type: list
  elements: str
  sample: ["table public.invoices: owner billing -> app_owner"]
obstacles:
  description: The objects that were not handed over, and why.
  returned: always
  type: list
  elements: dict
  sample: [{object: table public.orders, detail: "it was in use in 20 tries of 500 ms: canceling statement due to lock timeout (55P03, appdb at db:5432)"}]
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import TaskWithoutVault
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.ownership import OPTIONS, ownership

TASK = TaskWithoutVault(OPTIONS, ownership)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
