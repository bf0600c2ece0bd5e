#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage static database roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_static_role
short_description: Manage static database roles
description:
  - Makes sure that a static role (C(<mount>/static-roles/<name>)) is as asked, or absent.
  - Making it rotates the password at once; check mode and diff say so. Changing it does not rotate.
  - Refused is a user whose password something else in the mount changes already, a connection or another static role on the same
    server, and another O(db_name) that reaches another server. Compared are user, host and port as they are written, all names of the
    loopback interface as one.
  - When it is deleted, the user stays in the database, with a password nobody knows.
  - On PostgreSQL 16 and newer, the admin of the connection needs C(CREATEROLE) and ADMIN OPTION on the user.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
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
    description: How long a rotation by O(rotation_schedule) may be late. At least an hour. HashiCorp Vault 1.15 or newer.
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
    description: Do not rotate when the role is made. HashiCorp Vault Enterprise 1.18.5 or newer; refused where it
      would be ignored, which would rotate it at once.
    type: bool
  self_managed_password:
    description: The user's present password, with which it changes its own. HashiCorp Vault Enterprise 1.18 or newer.
    type: str
  password:
    description: The user's present password, kept until the first rotation. HashiCorp Vault Enterprise 1.19 or newer.
    type: str
  update_password:
    description: Whether O(password) and O(self_managed_password) are sent only when the role is made, or in every run.
    type: str
    choices: [on_create, always]
    default: on_create
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state
  - leasehold.vault.state.validated
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.database_static_role_rotation
  - plugin: leasehold.vault.database_static_credentials
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Let Vault keep the password of the reporting user
  leasehold.vault.database_static_role:
    name: reports
    db_name: production-db
    username: reports_user
    rotation_period: 24h
"""

RETURN = r"""
static_role:
  description: The static role as it now is (in a check run, as it would be); empty when absent. Durations are seconds.
  returned: success
  type: dict
  sample:
    mount: database
    name: reports
    db_name: production-db
    username: reports_user
    rotation_period: 86400
    rotation_schedule: ""
    rotation_window: 0
    rotation_statements: []
    credential_type: password
    credential_config: {}
    last_vault_rotation: "2026-01-31T12:00:00.225297562Z"
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE

TASK = state(STATIC_ROLE)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
