#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage dynamic database roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_role
short_description: Manage dynamic database roles
description:
  - Makes sure that a dynamic role (C(<mount>/roles/<name>)) is as asked, or absent.
  - O(in_role) is the short and safe way; your own statements are accepted as they are, and checked for what leaves leases that can never be revoked.
  - Deleting a role with live leases is refused, unless O(revoke_leases=true).
  - So is a change of O(db_name), O(in_role) or O(functions). Vault revokes with what the role says then, and the users that are there stay
    members of the group they were made in. O(revoke_leases=true) ends them first; O(keep_leases=true) lets them go on until they end.
  - Refused is a TTL longer than the mount allows (C(max_lease_ttl), or the server's own limit), to which Vault would silently cut each lease.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the role.
    type: str
    required: true
    aliases: [role_name]
  db_name:
    description: Name of the connection. It must exist and allow the role. Required when the role is made.
    type: str
  in_role:
    description:
      - The PostgreSQL group role that every user becomes a member of. Writes all four statement lists, the safe way; that is, users are made in
        constant time whatever the number of tables, and their revocation ends sessions, keeps objects, and leaves no lease that can never be revoked.
      - Names are data in these statements, whatever characters a login has put into them. On PostgreSQL 16 and newer the user has the rights of the
        group and cannot act as it (C(SET ROLE)), unless O(set_role=true).
      - The admin of the connection needs C(CREATEROLE), and on PostgreSQL 16 and newer ADMIN OPTION on the group; nothing on any table.
    type: str
  reassign_owned_to:
    description:
      - With O(in_role), who gets what a user owns when it is revoked; the group if left out. A PostgreSQL role that the admin has ADMIN OPTION on.
        What the user wrote runs with the rights of its callers from then on, not with those of the new owner; that is, functions lose C(SECURITY
        DEFINER), views become C(security_invoker) (before PostgreSQL 15 others lose their rights on them), rules are dropped.
    type: str
  revocation:
    description:
      - With O(in_role), what happens when a user cannot be dropped at the end of its lease, because it owns something in another database, or a
        transaction of somebody else holds what it owns. Its access has ended in either case; that is committed first. V(parking), the default,
        leaves a commented role without login, sessions and memberships, and the lease counts as revoked; the playbook C(clean_orphans) removes it.
        V(strict) fails, and the lease stays until Vault has revoked it or has given up.
    type: str
    choices: [strict, parking]
  set_role:
    description:
      - With O(in_role), let sessions act as the group from the start, so that objects belong to it at once. For migrations; not for
        application pools, whose sessions may outlive the revocation.
    type: bool
  functions:
    description:
      - With O(in_role), V(leasehold) calls the functions that the role P(leasehold.vault.postgresql_access#role) installs, so that the admin
        needs no C(CREATEROLE). For PostgreSQL 15 and older.
      - Left out, a role whose users are made by them keeps them, and a new one has them if other roles of its connection do; otherwise V(none).
    type: str
    choices: [none, leasehold]
  creation_statements:
    description:
      - Your own SQL for making a user, one string or a list. Mark it C(!unsafe), so that Ansible leaves C({{name}}) alone.
      - Vault cuts statements at every semicolon; where that would break one, it is sent in an encoded form. Whatever the form, statements are
        compared and shown as readable SQL.
    type: raw
  revocation_statements:
    description: Your own SQL for revoking a user. Forms as in O(creation_statements).
    type: raw
  renew_statements:
    description: Your own SQL for renewing a user; the default moves C(VALID UNTIL). Forms as in O(creation_statements).
    type: raw
  rollback_statements:
    description: SQL that Vault keeps and, for PostgreSQL, never runs. Forms as in O(creation_statements).
    type: raw
  default_ttl:
    description: How long a user lives. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the mount's default.
    type: str
  max_ttl:
    description: The most a user can live, renewals included. Forms as in O(default_ttl).
    type: str
  credential_type:
    description: Kind of credential. PostgreSQL issues V(password) only.
    type: str
    choices: [password, rsa_private_key, client_certificate]
  credential_config:
    description: Configuration of the credential type, for instance C(password_policy).
    type: dict
  verify:
    description:
      - What to try after a change. V(issue) issues one user and revokes it. V(login) also logs in with psycopg2, and checks that the user is a
        member of O(in_role), or has the rights on tables and sequences that the creation statements grant.
      - The task fails with the SQL error when a step fails, and puts the role back as it was, so that the next run tries again.
    type: str
    choices: [none, issue, login]
    default: none
  login_host:
    description:
      - With O(verify=login), the database's host as seen from here, when it is not the one in the connection's URL.
      - A name, an IPv4 or IPv6 address, the directory of a socket, or several of them with commas, each with a port or not.
    type: str
  login_port:
    description: With O(verify=login), the database's port as seen from here.
    type: int
  login_ca_cert:
    description: With O(verify=login), file with the certificates to trust, as seen from here.
    type: path
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state
  - leasehold.vault.state.leases
  - leasehold.vault.state.kept
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.database_credentials
"""

EXAMPLES = r"""
- name: Members of the group app_rw, for an hour
  leasehold.vault.database_role:
    name: app-role
    db_name: production-db
    in_role: app_rw
    default_ttl: 1h
    max_ttl: 24h

- name: The same in your own SQL, tried out before anybody relies on it
  leasehold.vault.database_role:
    name: app-role
    db_name: production-db
    creation_statements: !unsafe |
      CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE app_rw;
    revocation_statements:
      - !unsafe GRANT "{{name}}" TO CURRENT_USER
      - !unsafe REASSIGN OWNED BY "{{name}}" TO app_rw
      - !unsafe DROP OWNED BY "{{name}}"
      - !unsafe DROP ROLE IF EXISTS "{{name}}"
    default_ttl: 1h
    max_ttl: 24h
    verify: issue
"""

RETURN = r"""
role:
  description: The role as it now is (in a check run, as it would be); empty when absent. TTLs are seconds, statements readable SQL.
  returned: success
  type: dict
  sample:
    mount: database
    name: app-role
    db_name: production-db
    creation_statements:
      - DO $a_block… CREATE ROLE …
    revocation_statements: ["DO $a_block… NOLOGIN …", "COMMIT AND CHAIN", "DO $a_block… DROP ROLE …"]
    renew_statements: ["DO $a_block… ALTER ROLE …"]
    rollback_statements: []
    default_ttl: 3600
    max_ttl: 86400
    credential_type: password
    credential_config: {}
revoked_leases:
  description: How many leases were revoked before the role was deleted.
  returned: when there were any
  type: int
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE

TASK = state(ROLE)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
