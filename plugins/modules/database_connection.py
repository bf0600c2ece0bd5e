#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage database connections."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_connection
short_description: Manage database connections
description:
  - Makes sure that a connection (C(<mount>/config/<name>)) is as asked, or absent.
  - It is written only when something differs, and then only what differs is sent. Every write makes Vault rebuild its pool and log in.
  - Another O(username) needs its password and O(update_password=always), because Vault would go on with the password of the old one.
  - No run ever puts a first password back after root rotation, see O(update_password).
  - Deleting a connection with live leases is refused, unless O(revoke_leases=true). So is deleting one that static roles name, or
    dynamic roles; with O(revoke_leases=true) the latter stay behind, and a warning names them.
  - A change of the host, port or database in O(connection_url), or of O(username), is refused while live leases depend on it, because Vault
    revokes with what the connection says then, and while static roles name it. O(revoke_leases=true) ends the leases first;
    O(keep_leases=true) says that the connection reaches the same server afterwards. A host that both URLs name is the same server.
  - Refused is a connection whose PostgreSQL user is that of another connection or static role of the mount on the same server, since the
    first rotation through one of them locks the other out. Compared are user, host and port as they are written, all names of the
    loopback interface as one; no name is looked up.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
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
      - Where the database is, as Vault sees it, C(postgresql://{{username}}:{{password}}@host:5432/database?sslmode=verify-full). Mark it
        C(!unsafe), so that Ansible leaves the braces alone.
      - For PostgreSQL, a name or password written into it and the keyword form (C(host=… user=…)) are refused, because Vault shows them in
        clear.
      - On OpenBao, TLS is configured here alone, with C(sslmode) and C(sslrootcert) (a path on the server).
    type: str
  username:
    description: The PostgreSQL user Vault logs in as. Give each connection its own.
    type: str
    aliases: [connection_username]
  password:
    description:
      - Its first password. Sent when the connection is made, and otherwise only with O(update_password=always).
      - Vault never gives it back, so it is neither compared nor shown.
    type: str
    aliases: [connection_password]
  update_password:
    description:
      - V(on_create) sends O(password) (and O(private_key), O(service_account_json)) only when the connection is made. After a root rotation
        the password in the play is the old one, and sending it again would lock Vault out.
      - V(always) sends it in every run, and reports a change in every run. Refused after M(leasehold.vault.database_root_rotation) has
        rotated it, unless O(force=true), and never sent unverified.
    type: str
    choices: [on_create, always]
    default: on_create
  force:
    description: Send O(password) with O(update_password=always) although the root password was rotated since, because somebody reset it.
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
      - Name of the policy by which Vault makes passwords (M(leasehold.vault.password_policy)); empty for its default (20 characters). The
        server does not ask whether there is one; this module does.
    type: str
  username_template:
    description:
      - Template of the user names. Sent on creation of a PostgreSQL connection when the task is silent, and then takes nothing from the login.
        Vault's default puts eight characters of the login's display name into the names, and keeps only eight characters of the role's name.
      - A template with C(.DisplayName) is refused unless a function limits its length, and warned about if one does. Somebody who logs in
        chooses these characters.
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
    description: Idle connections kept; V(0) means as many as O(max_open_connections), negative means none.
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
    description: Key of O(tls_certificate), as text. Sent like O(password).
    type: str
  auth_type:
    description:
      - V(gcp_iam) logs in to Google Cloud SQL with IAM, without a password; O(connection_url) is C(host=project:region:instance
        user=account dbname=database) then. HashiCorp Vault 1.15 or newer; refused where it would be ignored, as the following.
    type: str
    version_added: 1.1.0
  service_account_json:
    description:
      - The key of the service account for O(auth_type=gcp_iam), as text; Vault's own account if left out.
      - Sent like O(password), and never read back.
    type: str
    version_added: 1.1.0
  use_private_ip:
    description: With O(auth_type=gcp_iam), use the private address of the instance. HashiCorp Vault 1.18 or newer.
    type: bool
    version_added: 1.1.0
  use_psc:
    description: With O(auth_type=gcp_iam), use Private Service Connect. HashiCorp Vault 1.21 or newer.
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
    description: How long a rotation of O(rotation_schedule) may take to begin. Seconds or V(1h).
    type: str
    version_added: 1.1.0
  disable_automated_rotation:
    description: Suspend the rotation by itself.
    type: bool
    version_added: 1.1.0
  skip_static_role_import_rotation:
    description:
      - Do not rotate the password of a static role when the role is made, unless the role says otherwise. HashiCorp Vault 1.19 or newer,
        Enterprise edition.
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
      - The same options again, as a dictionary, for plays written for C(hashicorp.vault.database_connection). Unknown keys are
        refused, unless O(unknown_options=pass), and so are secrets, which belong beside it.
    type: dict
  unknown_options:
    description:
      - What to do with keys of O(plugin_options) that this collection does not know. Vault stores what it does not know without effect, so
        they are refused; with V(pass) they are sent, compared and read back like the others, and shown, so that none may be a secret.
    type: str
    choices: [refuse, pass]
    default: refuse
    version_added: 1.1.0
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state
  - leasehold.vault.state.leases
  - leasehold.vault.state.kept
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.database_root_rotation
  - module: leasehold.vault.database_role
"""

EXAMPLES = r"""
- name: Tell Vault how to reach the database
  leasehold.vault.database_connection:
    name: production-db
    connection_url: !unsafe "postgresql://{{username}}:{{password}}@postgres.production.svc:5432/appdb?sslmode=verify-full"
    username: vault_admin
    password: "{{ first_password }}"
    allowed_roles: [app-role, analytics-role]

- name: Later, let one more role use it; the password is not sent again
  leasehold.vault.database_connection:
    name: production-db
    allowed_roles: [app-role, analytics-role, reports]
"""

RETURN = r"""
connection:
  description: The connection as it now is (in a check run, as it would be), without secrets; empty when absent. Durations are seconds.
  returned: success
  type: dict
  sample:
    mount: database
    name: production-db
    plugin_name: postgresql-database-plugin
    plugin_version: ""
    connection_url: postgresql://{{username}}:{{password}}@postgres.production.svc:5432/appdb?sslmode=verify-full
    username: vault_admin
    allowed_roles: [app-role]
    root_rotation_statements: []
    password_policy: ""
    username_template: '{{ printf "v-%s-%s-%s" (.RoleName | truncate 20) (random 20) (unix_time) }}'
    password_authentication: scram-sha-256
    disable_escaping: false
    max_open_connections: 4
    max_idle_connections: 0
    max_connection_lifetime: 0
    root_rotated_at: "2026-01-31T12:00:00Z"
revoked_leases:
  description: How many leases were revoked before the connection was deleted.
  returned: when there were any
  type: int
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION

TASK = state(CONNECTION)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
