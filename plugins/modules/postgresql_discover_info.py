#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the privileges of existing logins of a PostgreSQL database, as an entry of the document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_discover_info
short_description: Read the privileges of existing logins of a PostgreSQL database, as an entry of the document
description:
  - Asks PostgreSQL what each role with C(LOGIN) may do in a database, and returns an entry of C(vault_databases) whose groups give the same rights
    to dynamic users, with a role for each login. Superusers, and roles whose names begin with C(pg_) or C(v-), are left out.
  - A group of the document has the same privileges on all objects of a kind in its schemas, now and in future. What a login has beyond its group is
    named in RV(differences), such as rights on some tables of a schema, on columns, by attributes or by ownership. What C(PUBLIC) has is neither,
    because a dynamic user has it, too.
  - Reads only. Any role that can connect may do it; without the rights of C(pg_monitor), RV(sessions) shows its own sessions alone.
  - Talks to PostgreSQL only, not to Vault, and is not in the action group C(leasehold.vault.vault).
requirements:
  - psycopg2
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  database:
    description: The database.
    type: str
    required: true
  logins:
    description: The logins to look at; all if left out. A name that is not one of them is an error.
    type: list
    elements: str
extends_documentation_fragment:
  - leasehold.vault.postgresql_login
  - leasehold.vault.postgresql_login.server
attributes:
  check_mode:
    support: full
    description: Reads only, so it does the same in check mode.
  diff_mode:
    support: N/A
    description: Changes nothing, so there is nothing to show.
"""

EXAMPLES = r"""
- name: Read what the logins of a database may do
  leasehold.vault.postgresql_discover_info:
    database: appdb
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"
  register: found
"""

RETURN = r"""
entry:
  description: An entry of C(vault_databases), without C(host) and without the password of the admin role.
  returned: success
  type: dict
  sample:
    name: appdb
    database: appdb
    owner: app_owner
    admin: {username: vault_appdb}
    connect: [reports]
    groups:
      appdb_ro: {schemas: [public], tables: [select]}
    roles:
      reports: {in_role: appdb_ro, default_ttl: 1h, max_ttl: 24h}
differences:
  description: By login, what it may do and a user of its role may not; logins without a difference are left out.
  returned: success
  type: dict
  sample:
    billing: [DELETE on 1 of 12 tables in schema public (invoices)]
notes:
  description: Notes about the database itself.
  returned: success
  type: list
  elements: str
sessions:
  description: Who is connected, by user, application and address.
  returned: success
  type: list
  elements: dict
  sample: [{user: billing, application_name: billing-web, address: 10.0.0.7, count: 12}]
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import TaskWithoutVault
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.discover import OPTIONS, discover

TASK = TaskWithoutVault(OPTIONS, discover)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
