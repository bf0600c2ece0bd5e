#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move from a login with a password of its own to dynamic users, and back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_cutover
short_description: Disable or re-enable a login that dynamic users replace
description:
  - Compares what a login and the group of the dynamic users that replace it may do in a database, shows who still uses the login, and takes its
    C(LOGIN). The role is not dropped, and its password, privileges and memberships stay, so that O(state=enabled) undoes it.
  - PostgreSQL itself says what both may do. Compared are privileges on tables, columns, sequences, functions, schemas, types, languages, foreign
    servers, tablespaces, large objects and the databases, privileges on objects to come, grant options, attributes, settings, predefined roles,
    what the login may do after C(SET ROLE), policies of row level security that let it see more (or restrict the group) or ask for
    C(current_user), and what it owns. C(pg_hba.conf) and C(SET ROLE) to a role whose rights the login has anyway are not looked at.
  - Talks to PostgreSQL only, not to Vault, and is not in the action group C(leasehold.vault.vault).
requirements:
  - psycopg2
author:
  - The leasehold.vault authors (@leasehold)
seealso:
  - module: leasehold.vault.postgresql_ownership
  - module: leasehold.vault.postgresql_discover_info
version_added: 1.1.0
options:
  database:
    description: The database in which the rights are compared.
    type: str
    required: true
  login:
    description: The role that applications log in as until now. It must not be a superuser.
    type: str
    required: true
  group:
    description: The group that the dynamic users are members of. Required, unless O(state=enabled).
    type: str
  state:
    description:
      - V(compared) changes nothing, and does not fail for a difference.
      - V(disabled) takes C(LOGIN) from the role, and notes that in its comment. It is refused, with each difference, while the login may do what the
        group may not, unless O(accept) names it.
      - V(enabled) gives C(LOGIN) back. It is refused for a role whose comment does not say that V(disabled) took it.
    type: str
    choices: [compared, disabled, enabled]
    default: compared
  accept:
    description: Differences that do not matter, each as RV(lacks[].right) has it, such as V(TRUNCATE on tables in schema public).
    type: list
    elements: str
    default: []
  sessions:
    description:
      - What happens with sessions of the login, in any database of the server and of the standbys in O(nodes), when it is disabled.
      - V(refuse) does not disable it while there are some, because each that connects again would fail; V(keep) leaves them alone; V(end) ends them,
        also those of a login that was disabled before.
      - While one of the standbys could not be looked at, only V(keep) disables it.
    type: str
    choices: [refuse, keep, end]
    default: refuse
  nodes:
    description:
      - The servers whose standbys (C(replica)) are looked at for sessions, too. The filter P(leasehold.vault.database_nodes#filter) makes them of entries
        of C(vault_databases). Left out, sessions on standbys are not seen.
    default: []
  login_user:
    description: The role to log in as, a superuser, or a role with C(CREATEROLE) and, from PostgreSQL 16 on, C(ADMIN OPTION) on the login.
extends_documentation_fragment:
  - leasehold.vault.nodes
  - leasehold.vault.postgresql_login
  - leasehold.vault.postgresql_login.server
attributes:
  check_mode:
    support: full
    description: Predicts each change, and is refused as a run is.
  diff_mode:
    support: full
    description: Whether the role can log in.
"""

EXAMPLES = r"""
- name: Compare, and see who still uses the login
  leasehold.vault.postgresql_cutover:
    database: appdb
    login: billing
    group: app_rw
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"
  register: found

- name: Disable it
  leasehold.vault.postgresql_cutover:
    database: appdb
    login: billing
    group: app_rw
    state: disabled
    accept: [TRUNCATE on tables in schema public]
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"

- name: Give it back
  leasehold.vault.postgresql_cutover:
    database: appdb
    login: billing
    state: enabled
    login_host: postgres.production.svc
    login_password: "{{ dba_password }}"
"""

RETURN = r"""
can_log_in:
  description: Whether the role has C(LOGIN), or would have it.
  returned: success
  type: bool
changes:
  description: What changed, or would change.
  returned: success
  type: list
  elements: str
  sample: ["billing: NOLOGIN", "billing: comment leasehold: LOGIN taken by a cutover"]
lacks:
  description: What the login may do and the group may not; none without O(group).
  returned: success, or refused because of it
  type: list
  elements: dict
  contains:
    right:
      description: The right, as O(accept) takes it.
      type: str
    detail:
      description: The objects.
      type: str
    accepted:
      description: Whether O(accept) has it.
      type: bool
  sample: [{right: DELETE on tables in schema sales, detail: "1 of 12: orders", accepted: false}]
lacks_unaccepted:
  description: How many of these O(accept) does not name.
  returned: success
  type: int
report:
  description: The differences and the sessions, one line each.
  returned: success
  type: list
  elements: str
surplus:
  description: What the group may do and the login may not; none without O(group).
  returned: success
  type: list
  elements: str
sessions:
  description: Who is connected as the login now, by database, application, address and standby (empty for the server itself).
  returned: success, or refused because of it
  type: list
  elements: dict
  sample: [{database: appdb, application_name: billing-web, address: 10.0.0.7, count: 12, standby: ""}]
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import TaskWithoutVault
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.cutover import CONSTRAINTS, OPTIONS, cutover

TASK = TaskWithoutVault(OPTIONS, cutover, CONSTRAINTS)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
