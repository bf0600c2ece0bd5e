#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reconcile the PostgreSQL side of database secrets with a declarative document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_sync
short_description: Reconcile the PostgreSQL side of database secrets with a declarative document
description:
  - For each entry, creates the owner role, the groups that hold privileges, the admin role of Vault, the database and its schemas, and grants
    the groups their privileges on what exists and (default privileges) on what the owner and the creators will create. C(PUBLIC) loses
    C(CONNECT) on the database and C(CREATE) on schema C(public).
  - All entries are reconciled in one task, with one session a server and one a database. What is there is read first, statements are sent only for
    what differs, and afterwards it is read again. A C(GRANT) or C(REVOKE) that PostgreSQL accepted with no more than a warning is an error
    here, and no change.
  - Nothing is dropped. The password of an admin role that exists, the attributes of an owner, and the owner of a database or schema that exists
    are left alone.
  - Roles belong to the server. Entries whose servers are the same one, whatever their O(databases[].host), must not share an admin role, nor a group
    that is not C(shared) in each of them. A group or an admin role of one must not be the owner, a creator, the admin role or a user of another one,
    nor in its O(databases[].connect), unless the group is C(shared). A group must not be a member of a superuser or of a predefined role (C(pg_*)),
    nor have C(CREATEROLE), C(CREATEDB), C(REPLICATION) or C(BYPASSRLS). What else it is a member of is named in a warning.
  - The login need not be a superuser. With C(CREATEROLE) and C(CREATEDB) it becomes a member of the owner and of the creators. What it cannot do, because
    an object belongs to somebody else, is named with that owner; it is a warning for what an extension made.
  - Talks to PostgreSQL only, not to Vault, and is not in the action group C(leasehold.vault.vault).
requirements:
  - psycopg2
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  databases:
    description: The entries. The filter P(leasehold.vault.postgresql_document#filter) makes them of C(vault_databases).
    type: list
    elements: dict
    required: true
    suboptions:
        name:
          description: Name of the connection in Vault; used in messages. Required.
          type: str
        host:
          description:
            - A name, an address, the directory of a socket, or several of them with commas, each with a port or not. Empty is libpq's default.
          type: str
        port:
          description: The port, or one for each host with commas.
          type: str
        sslmode:
          description: How to use TLS. V(verify-full) if there is a O(databases[].ca_cert), else V(prefer).
          type: str
        ca_cert:
          description: File with the certificate authority of the server.
          type: path
        client_cert:
          description: File with the certificate by which the DBA logs in.
          type: path
        client_key:
          description: File with its key.
          type: path
        target_session_attrs:
          description: As in libpq. V(read-write) if there are several hosts.
          type: str
        database:
          description: The database. Created if it is missing, unless O(create_database=false). Required.
          type: str
        owner:
          description: The role that owns the tables. Created if it is missing. Required.
          type: str
        admin:
          description: The role that Vault logs in as. Required.
          type: dict
          suboptions:
            username:
              description: Its name. Required.
              type: str
            password:
              description: Its first password, sent as a SCRAM verifier when the role is created, and never again.
              type: str
        groups:
          description:
            - By name, the C(schemas) of the group and its lists of privileges under C(tables), C(sequences), C(functions) and C(schema_privileges) (default
              V([usage])). A list is complete; what the group holds beyond it in these schemas is revoked, also on columns, as the right to grant it to
              others, and as default privileges that hold in all schemas. Procedures count as functions. A kind that is left out is not managed.
              C(shared=true) allows the same group in another database of the server. Required.
          type: dict
        users:
          description:
            - By name, users whose passwords Vault's static roles are to set, each with C(in_role), a list of the groups. Created without a
              password if they are missing; the admin role gets what it needs to set it. Not together with O(databases[].functions=leasehold), because
              an admin role without C(CREATEROLE) sets nobody's password.
          type: dict
        creators:
          description: Other existing roles that create tables.
          type: list
          elements: str
        connect:
          description: Other existing roles that may connect to the database.
          type: list
          elements: str
        heirs:
          description: Roles that get what a user owned when it is revoked; the owner or a group.
          type: list
          elements: str
        users_act_as_owner:
          description:
            - Whether users act as the owner, as those of C(migrations) do. An owner that is more than that, or a server on which the functions make the users,
              is refused then.
          type: bool
          default: false
        functions:
          description:
            - V(leasehold) installs functions that create and drop users, so that the admin role needs no C(CREATEROLE). If left out, V(leasehold) on
              PostgreSQL 15 and older, V(none) on 16 and newer.
          type: str
          choices: [leasehold, none]
  login_user:
    description: The DBA, a superuser or a role with C(CREATEROLE) and C(CREATEDB).
  login_host:
    description: Where to log in, instead of O(databases[].host). Without O(login_port) at the first port of the entry.
  login_port:
    description: The port there, or that of each host of the entry, instead of O(databases[].port).
  login_ssl_mode:
    description: How to use TLS, instead of O(databases[].sslmode).
  login_ca_cert:
    description: File with the certificate authority, instead of O(databases[].ca_cert).
  login_client_cert:
    description: File with a certificate to log in by, instead of O(databases[].client_cert).
  login_client_key:
    description: File with its key, instead of O(databases[].client_key).
  maintenance_db:
    description: A database that always exists, to log in to for what concerns the whole server.
    type: str
    default: postgres
  admin_settings:
    description: Settings of the admin roles. Those that are not named are left alone.
    type: dict
    default: {}
  create_database:
    description: Whether to create a database that is missing. With V(false) that is an error.
    type: bool
    default: true
  close_databases:
    description:
      - Databases of the same servers, beside those of O(databases), on which C(PUBLIC) loses C(CONNECT) and C(TEMPORARY). Those that do not exist are
        ignored.
    type: list
    elements: str
    default: [postgres, template1]
  lock_out:
    description:
      - Roles that may lose their way into a database. Others that are logged in to one, and may be because C(PUBLIC) may connect there alone, are an error
        before anything is written when C(PUBLIC) is about to lose C(CONNECT); they belong in C(connect) of its entry.
    type: list
    elements: str
    default: []
  prune:
    description:
      - Whether the groups also lose, in the databases of O(databases), what they hold in schemas and on kinds of objects that their entry does not
        name, on the database itself beside C(CONNECT), and in databases whose entries do not name them; and groups that no entry names any more
        lose everything there. These are the roles without C(LOGIN) that the admin role may still hand out and that may connect to the database;
        while users of Vault, or others who can log in and are not in O(databases), are members of one, it is left alone with a warning.
      - No role and no object is dropped.
    type: bool
    default: false
  concurrency:
    description: How many servers, and how many databases, are reconciled at the same time.
    type: int
    default: 8
extends_documentation_fragment:
  - leasehold.vault.postgresql_login
  - leasehold.vault.postgresql_login.server
attributes:
  check_mode:
    support: full
    description: Predicts every change, also on an empty server and in databases that do not exist yet.
  diff_mode:
    support: full
    description: One line for each change, by role and schema.
"""

EXAMPLES = r"""
- name: Prepare a database for short-lived credentials
  leasehold.vault.postgresql_sync:
    login_password: "{{ dba_password }}"
    databases:
      - name: production-db
        host: postgres.production.svc:5432
        database: appdb
        sslmode: verify-full
        admin: {username: vault_admin, password: "{{ first_password }}"}
        owner: app_owner
        groups:
          app_rw: {schemas: [public], tables: [select, insert, update, delete], sequences: [usage, select]}
          app_ro: {schemas: [public], tables: [select]}
    close_databases: []

- name: Prepare all databases of the document
  leasehold.vault.postgresql_sync:
    login_password: "{{ dba_password }}"
    databases: "{{ vault_databases | leasehold.vault.postgresql_document }}"
    close_databases: []
  vars:
    vault_databases:
      - name: production-db
        host: postgres.production.svc:5432
        database: appdb
        sslmode: verify-full
        admin: {username: vault_admin}
        owner: app_owner
        groups:
          app_ro: {schemas: [public], tables: [select]}
        roles:
          analytics-role: {in_role: app_ro, default_ttl: 1h}
"""

RETURN = r"""
changes:
  description: What changed, or would change, one line each.
  returned: always
  type: list
  elements: str
  sample:
    - "appdb: app_rw: + SELECT on tables in schema sales (14 tables, and those to come from app_owner)"
obstacles:
  description:
    - What differs from the entries and was not changed, because this login cannot, C(name) being the places or the role, and C(detail) what it is and why.
    - The warnings say the same, and name databases of the server that are open to C(PUBLIC) and that nobody has named.
  returned: always
  type: list
  elements: dict
  sample:
    - name: postgres.production.svc
      detail: "template1: - CONNECT of PUBLIC is not done: the database belongs to postgres, who or a superuser has to do it"
functions:
  description: By entry, whether users are made by the functions in the schema C(leasehold).
  returned: always
  type: dict
  sample: {production-db: false}
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import TaskWithoutVault
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.sync import OPTIONS, synchronise

TASK = TaskWithoutVault(OPTIONS, synchronise)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
