#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotate the root credentials of a database connection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_root_rotation
short_description: Rotate the root credentials of a database connection
description:
  - Lets Vault replace the password of the connection's PostgreSQL user by one that only Vault knows.
  - With O(rotate=once) it first finds out whether the bootstrap password still opens the database, through a short-lived second connection in
    Vault; no way to the database is needed from where the task runs. Accepted means rotate now. Refused means rotated already if this collection
    noted that it did so, or with O(assume_rotated=true). Anything else fails and rotates nothing.
  - A rotation that is cut off between the database's commit and its answer can leave a password that nobody knows. That is found out, at once or by
    the next run, and the task fails with RV(ignore:lost) set. Once the DBA has given the PostgreSQL user a new password, a run with that one in
    O(password) hands it to Vault and rotates it away; the role C(leasehold.vault.database_secrets) does both by itself when it knows the DBA's
    password.
  - HashiCorp Vault rolls such a rotation back by itself within two minutes. While that is to be expected, RV(ignore:rollback_pending) is set as
    well, and a run after it rotates, without the DBA; the role C(leasehold.vault.database_secrets) waits for it.
  - Afterwards it makes sure that the bootstrap password is refused, and notes the time in the connection, so that check mode can tell.
  - Without the right to note it nothing is rotated, since the next run could not tell a rotated password from one that is mistyped. Only
    O(assume_rotated=true), and O(rotate=always) without O(older_than), do without the note; then it is a warning.
  - 'Rights: C(read) and C(update) on C(<mount>/config/<name>), C(update) on C(<mount>/rotate-root/<name>), and C(create), C(update) and
    C(delete) on C(<mount>/config/leasehold-probe-*).'
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the connection.
    type: str
    required: true
    aliases: [connection_name]
  password:
    description: The bootstrap password. Required with O(rotate=once).
    type: str
  username:
    description: The PostgreSQL user, only when it is not the connection's.
    type: str
  rotate:
    description:
      - V(once) rotates only while the bootstrap password works.
      - V(always) rotates in every run and reports a change in every run.
    type: str
    choices: [once, always]
    default: once
  older_than:
    description:
      - With O(rotate=always), rotate only when the last rotation is at least this old. Seconds, or V(12h), V(30d).
      - Vault keeps no time of it; this collection notes it in the connection. Where nothing is noted, it is rotated.
    type: str
    version_added: 1.1.0
  assume_rotated:
    description:
      - With O(rotate=once), take a refused password for rotated also where nothing says that this collection rotated it.
      - By default that is an error, because the password may as well be mistyped and the real one still work.
    type: bool
    default: false
    version_added: 1.1.0
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.attributes.act
"""

EXAMPLES = r"""
- name: From here on only Vault knows the password
  leasehold.vault.database_root_rotation:
    name: production-db
    password: "{{ first_password }}"

- name: Planned rotation
  leasehold.vault.database_root_rotation:
    name: production-db
    rotate: always

- name: Rotate what was not rotated for a month
  leasehold.vault.database_root_rotation:
    name: production-db
    rotate: always
    older_than: 30d
"""

RETURN = r"""
rotated:
  description: Whether this run rotated the password. (RV(ignore:changed) is also true when it only noted that it found it rotated.)
  returned: success
  type: bool
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.root_rotation import PASSWORD, rotate_root
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import named

TASK = act(
    (
        MOUNT,
        named("connection_name"),
        PASSWORD,
        text("username"),
        text("rotate", spec={"choices": ["once", "always"], "default": "once"}),
        text("older_than"),
        Field("assume_rotated", type="bool", spec={"default": False}),
    ),
    rotate_root,
    required_if=[("rotate", "once", ["password"])],
)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
