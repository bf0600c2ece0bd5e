#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reconcile a database secrets engine with a declarative document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_sync
short_description: Reconcile a database secrets engine with a declarative document
description:
  - Reconciles the mount, its connections, roles and static roles in one task, with the same options and the same rules as
    M(leasehold.vault.database_engine), M(leasehold.vault.database_connection), M(leasehold.vault.database_role) and
    M(leasehold.vault.database_static_role).
  - Objects that are not declared are left alone, unless O(prune) names their kind. Removals are shown in the diff, and are refused while
    leases depend on them, unless O(revoke_leases=true). A connection is not removed while roles or static roles that stay name it.
  - Changes that live leases or static roles rely on (address, database and user of a connection, connection and group of a role) are
    refused while there are any, unless O(revoke_leases=true) or O(keep_leases=true).
  - When an object fails, what does not depend on it is finished; then the task fails with all errors. Interrupted at any point, the next run
    finishes the job.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  engine:
    description: How the mount is tuned; it is mounted in any case.
    type: dict
    suboptions:
      description:
        description: What people read beside the mount.
        type: str
      default_lease_ttl:
        description:
          - How long a lease lives when neither its role nor the request says so. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the server's own default
            (32 days).
        type: str
      max_lease_ttl:
        description:
          - The most a lease can live, renewals included. Forms as in O(engine.default_lease_ttl).
        type: str
      listing_visibility:
        description: Whether the mount is listed to people who are not logged in.
        type: str
        choices: [hidden, unauth]
      audit_non_hmac_request_keys:
        description: Keys of requests that the audit log shows in clear.
        type: list
        elements: str
      audit_non_hmac_response_keys:
        description: Keys of answers that the audit log shows in clear.
        type: list
        elements: str
      passthrough_request_headers:
        description: Request headers handed to the engine.
        type: list
        elements: str
      allowed_response_headers:
        description: Response headers the engine may set.
        type: list
        elements: str
      force_no_cache:
        description: Turn off caching for the mount. Can be chosen at creation only.
        type: bool
      local:
        description: Keep the mount on this cluster, out of replication. Can be chosen at creation only.
        type: bool
      seal_wrap:
        description: Wrap its storage with the seal. Can be chosen at creation only.
        type: bool
  connections:
    description: The connections.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the connection.
        type: str
        required: true
        aliases: [connection_name]
      plugin_name:
        description:
          - The database plugin. V(postgresql-database-plugin) on creation if left out.
        type: str
      plugin_version:
        description: Version of the plugin, empty for the built-in one.
        type: str
      connection_url:
        description:
          - Where the database is, as Vault sees it, C(postgresql://{{username}}:{{password}}@host:5432/database?sslmode=verify-full). Mark it C(!unsafe),
            so that Ansible leaves the braces alone.
          - For PostgreSQL, a name or password written into it and the keyword form (C(host=… user=…)) are refused, because Vault shows them in clear.
          - On OpenBao, TLS is configured here alone, with C(sslmode) and C(sslrootcert) (a path on the server).
        type: str
      username:
        description: The PostgreSQL user Vault logs in as. Give each connection its own.
        type: str
        aliases: [connection_username]
      password:
        description:
          - Its first password. Sent when the connection is made, and otherwise only with O(connections[].update_password=always).
          - Vault never gives it back, so it is neither compared nor shown.
        type: str
        aliases: [connection_password]
      update_password:
        description:
          - V(on_create) sends O(connections[].password) (and O(connections[].private_key), O(connections[].service_account_json)) only when the connection
            is made. After a root rotation the password in the play is the old one, and sending it again would lock Vault out.
          - V(always) sends it in every run, and reports a change in every run. Refused after M(leasehold.vault.database_root_rotation) has rotated
            it, unless O(connections[].force=true), and never sent unverified.
        type: str
        choices: [on_create, always]
        default: on_create
      force:
        description: Send O(connections[].password) with O(connections[].update_password=always) although the root password was rotated since, because
          somebody reset it.
        type: bool
        default: false
      allowed_roles:
        description:
          - The roles that may use the connection; a set. V(*) is all, C(app-*) those with the prefix. The server's default is nobody.
        type: list
        elements: str
      root_rotation_statements:
        description: SQL for root rotation, when C(ALTER ROLE … PASSWORD) does not do. One string or a list.
        type: raw
      password_policy:
        description:
          - Name of the policy by which Vault makes passwords (M(leasehold.vault.password_policy)); empty for its default (20 characters). The server
            does not ask whether there is one; this module does.
        type: str
      username_template:
        description:
          - Template of the user names. Sent on creation of a PostgreSQL connection when the task is silent, and then takes nothing from the login.
            Vault's default puts eight characters of the login's display name into the names, and keeps only eight characters of the role's name.
          - A template with C(.DisplayName) is refused unless a function limits its length, and warned about if one does. Somebody who logs in chooses
            these characters.
        type: str
      password_authentication:
        description:
          - V(scram-sha-256) sends PostgreSQL a verifier, V(password) the password itself, which then reaches its log. V(scram-sha-256) on creation
            of a PostgreSQL connection if left out.
          - OpenBao and HashiCorp Vault 1.14 or newer. An older one ignores it, so it is refused there, and comes with a warning if left out.
        type: str
        choices: [password, scram-sha-256]
      disable_escaping:
        description: Put name and password into the URL without escaping them.
        type: bool
      max_open_connections:
        description: Size of the pool; the server's default is 4.
        type: int
      max_idle_connections:
        description: Idle connections kept; V(0) means as many as O(connections[].max_open_connections), negative means none.
        type: int
      max_connection_lifetime:
        description: Age at which a pooled connection is closed. Seconds or V(1h30m); V(0) is never.
        type: str
      tls_ca:
        description: Certificates to trust, as text. HashiCorp Vault 1.18 or newer; refused where it would be ignored.
        type: str
      tls_certificate:
        description: Client certificate, as text. HashiCorp Vault 1.18 or newer; refused where it would be ignored.
        type: str
      private_key:
        description: Key of O(connections[].tls_certificate), as text. Sent like O(connections[].password).
        type: str
      auth_type:
        description:
          - V(gcp_iam) logs in to Google Cloud SQL with IAM, without a password; O(connections[].connection_url) is C(host=project:region:instance user=account
            dbname=database) then. HashiCorp Vault 1.15 or newer; refused where it would be ignored, as the following.
        type: str
        version_added: 1.1.0
      service_account_json:
        description:
          - The key of the service account for O(connections[].auth_type=gcp_iam), as text; Vault's own account if left out.
          - Sent like O(connections[].password), and never read back.
        type: str
        version_added: 1.1.0
      use_private_ip:
        description: With O(connections[].auth_type=gcp_iam), use the private address of the instance. HashiCorp Vault 1.18 or newer.
        type: bool
        version_added: 1.1.0
      use_psc:
        description: With O(connections[].auth_type=gcp_iam), use Private Service Connect. HashiCorp Vault 1.21 or newer.
        type: bool
        version_added: 1.1.0
      self_managed:
        description:
          - There is no root user; each static role logs in with its own password to change it. HashiCorp Vault 1.18 or newer, Enterprise edition.
        type: bool
        version_added: 1.1.0
      rotation_period:
        description:
          - Rotate the root password by itself, this often. Seconds or V(24h). HashiCorp Vault 1.19 or newer, Enterprise edition.
        type: str
        version_added: 1.1.0
      rotation_schedule:
        description: The same by a schedule in the syntax of cron, in UTC.
        type: str
        version_added: 1.1.0
      rotation_window:
        description: How long a rotation of O(connections[].rotation_schedule) may take to begin. Seconds or V(1h).
        type: str
        version_added: 1.1.0
      disable_automated_rotation:
        description: Suspend the rotation by itself.
        type: bool
        version_added: 1.1.0
      skip_static_role_import_rotation:
        description:
          - Do not rotate the password of a static role when the role is made, unless the role says otherwise. HashiCorp Vault 1.19 or newer, Enterprise
            edition.
        type: bool
        version_added: 1.1.0
      verify_connection:
        description:
          - Whether Vault logs in to the database before it accepts a write. It does, if left out.
          - With V(false) the connection is tried after the write and a failure is reported as a warning; when nothing differs, a warning says that
            nothing was tried.
          - HashiCorp Vault 1.19 and newer keeps the last value, for writes that do not say it and for C(reset). A V(false) that was left there by somebody
            else is set back to V(true); where the connection works, one of this option is, too.
        type: bool
      plugin_options:
        description:
          - The same options again, as a dictionary, for plays written for C(hashicorp.vault.database_connection). Unknown keys are refused, unless
            O(connections[].unknown_options=pass), and so are secrets, which belong beside it.
        type: dict
      unknown_options:
        description:
          - What to do with keys of O(connections[].plugin_options) that this collection does not know. Vault stores what it does not know without effect,
            so they are refused; with V(pass) they are sent, compared and read back like the others, and shown, so that none may be a secret.
        type: str
        choices: [refuse, pass]
        default: refuse
        version_added: 1.1.0
  roles:
    description: The dynamic roles.
    type: list
    elements: dict
    suboptions:
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
          - Names are data in these statements, whatever characters a login has put into them. On PostgreSQL 16 and newer the user has the rights of
            the group and cannot act as it (C(SET ROLE)), unless O(roles[].set_role=true).
          - The admin of the connection needs C(CREATEROLE), and on PostgreSQL 16 and newer ADMIN OPTION on the group; nothing on any table.
        type: str
      reassign_owned_to:
        description:
          - With O(roles[].in_role), who gets what a user owns when it is revoked; the group if left out. A PostgreSQL role that the admin has ADMIN
            OPTION on. What the user wrote runs with the rights of its callers from then on, not with those of the new owner; that is, functions lose
            C(SECURITY DEFINER), views become C(security_invoker) (before PostgreSQL 15 others lose their rights on them), rules are dropped.
        type: str
      revocation:
        description:
          - With O(roles[].in_role), what happens when a user cannot be dropped at the end of its lease, because it owns something in another database,
            or a transaction of somebody else holds what it owns. Its access has ended in either case; that is committed first. V(parking), the default,
            leaves a commented role without login, sessions and memberships, and the lease counts as revoked; the playbook C(clean_orphans) removes
            it. V(strict) fails, and the lease stays until Vault has revoked it or has given up.
        type: str
        choices: [strict, parking]
      set_role:
        description:
          - With O(roles[].in_role), let sessions act as the group from the start, so that objects belong to it at once. For migrations; not for application
            pools, whose sessions may outlive the revocation.
        type: bool
      functions:
        description:
          - With O(roles[].in_role), V(leasehold) calls the functions that the role P(leasehold.vault.postgresql_access#role) installs, so that the
            admin needs no C(CREATEROLE). For PostgreSQL 15 and older.
          - Left out, a role whose users are made by them keeps them, and a new one has them if other roles of its connection do; otherwise V(none).
        type: str
        choices: [none, leasehold]
      creation_statements:
        description:
          - Your own SQL for making a user, one string or a list. Mark it C(!unsafe), so that Ansible leaves C({{name}}) alone.
          - Vault cuts statements at every semicolon; where that would break one, it is sent in an encoded form. Whatever the form, statements are compared
            and shown as readable SQL.
        type: raw
      revocation_statements:
        description: Your own SQL for revoking a user. Forms as in O(roles[].creation_statements).
        type: raw
      renew_statements:
        description: Your own SQL for renewing a user; the default moves C(VALID UNTIL). Forms as in O(roles[].creation_statements).
        type: raw
      rollback_statements:
        description: SQL that Vault keeps and, for PostgreSQL, never runs. Forms as in O(roles[].creation_statements).
        type: raw
      default_ttl:
        description: How long a user lives. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the mount's default.
        type: str
      max_ttl:
        description: The most a user can live, renewals included. Forms as in O(roles[].default_ttl).
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
            member of O(roles[].in_role), or has the rights on tables and sequences that the creation statements grant.
          - The task fails with the SQL error when a step fails, and puts the role back as it was, so that the next run tries again.
        type: str
        choices: [none, issue, login]
        default: none
      login_host:
        description:
          - With O(roles[].verify=login), the database's host as seen from here, when it is not the one in the connection's URL.
          - A name, an IPv4 or IPv6 address, the directory of a socket, or several of them with commas, each with a port or not.
        type: str
      login_port:
        description: With O(roles[].verify=login), the database's port as seen from here.
        type: int
      login_ca_cert:
        description: With O(roles[].verify=login), file with the certificates to trust, as seen from here.
        type: path
  static_roles:
    description: The static roles.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the static role.
        type: str
        required: true
        aliases: [role_name]
      db_name:
        description: Name of the connection. It must exist and allow the role. Required when the role is made.
        type: str
      username:
        description: The PostgreSQL user whose password Vault rotates. Required when the role is made, and cannot be changed afterwards.
        type: str
      rotation_period:
        description: How often the password is rotated. Seconds (5 or more), or V(24h), V(30d).
        type: str
      rotation_schedule:
        description: When the password is rotated, as a cron expression in UTC. HashiCorp Vault 1.15 or newer; refused where it would be ignored.
        type: str
      rotation_window:
        description: How long a rotation by O(static_roles[].rotation_schedule) may be late. At least an hour. HashiCorp Vault 1.15 or newer.
        type: str
      rotation_statements:
        description:
          - Your own SQL for setting the password, one string or a list; the default is C(ALTER ROLE … PASSWORD). Mark it C(!unsafe).
        type: raw
      credential_type:
        description: Kind of credential. PostgreSQL knows V(password) only.
        type: str
        choices: [password, rsa_private_key, client_certificate]
      credential_config:
        description: Configuration of the credential type, for instance C(password_policy).
        type: dict
      skip_import_rotation:
        description: Do not rotate when the role is made. HashiCorp Vault Enterprise 1.18.5 or newer; refused where it would be ignored, which would
          rotate it at once.
        type: bool
      self_managed_password:
        description: The user's present password, with which it changes its own. HashiCorp Vault Enterprise 1.18 or newer.
        type: str
      password:
        description: The user's present password, kept until the first rotation. HashiCorp Vault Enterprise 1.19 or newer.
        type: str
      update_password:
        description: Whether O(static_roles[].password) and O(static_roles[].self_managed_password) are sent only when the role is made, or in every
          run.
        type: str
        choices: [on_create, always]
        default: on_create
  prune:
    description:
      - Kinds of which everything that is not declared is removed. Nothing is removed of a kind that cannot be listed.
    type: list
    elements: str
    choices: [connections, roles, static_roles]
    default: []
  revoke_leases:
    description: Revoke the live leases that depend on what O(prune) removes, or on what is changed under them, first.
    type: bool
    default: false
  keep_leases:
    description:
      - Make changes that live leases or static roles rely on although there are any, and let them go on. It says that their users can be
        revoked afterwards just as well, such as after a fail-over to another address of the same server. Removals are not concerned.
    type: bool
    default: false
    version_added: 1.1.0
  validate:
    description: Whether to ask the server, before a change, for what it would only find wrong later.
    type: bool
    default: true
  concurrency:
    description: How many objects are worked on at once.
    type: int
    default: 8
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.attributes
"""

EXAMPLES = r"""
- name: The whole engine as it shall be
  leasehold.vault.database_sync:
    mount: database
    engine:
      max_lease_ttl: 24h
    connections:
      - name: production-db
        connection_url: !unsafe "postgresql://{{username}}:{{password}}@postgres.production.svc:5432/appdb?sslmode=verify-full"
        username: vault_admin
        password: "{{ first_password }}"
        allowed_roles: [app-role, analytics-role]
    roles:
      - {name: app-role, db_name: production-db, in_role: app_rw, default_ttl: 1h, max_ttl: 24h}
      - {name: analytics-role, db_name: production-db, in_role: app_ro, default_ttl: 1h, max_ttl: 24h}
    prune: [roles]
"""

RETURN = r"""
objects:
  description: Every object with what happened to it, also when the task fails.
  returned: always
  type: list
  elements: dict
  sample:
    - {kind: engine, name: database, action: none}
    - {kind: connections, name: production-db, action: update}
    - {kind: roles, name: app-role, action: create}
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.sync import synchronisation

TASK = synchronisation()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
