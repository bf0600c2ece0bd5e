#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotate the password of a static database role."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_static_role_rotation
short_description: Rotate the password of a static database role
description:
  - Lets Vault change the password now, or only when the last rotation is older than asked.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the static role.
    type: str
    required: true
    aliases: [role_name]
  older_than:
    description:
      - Rotate only when the last rotation is at least this old. Seconds, or V(12h), V(30d).
      - Left out, every run rotates.
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.attributes.act
"""

EXAMPLES = r"""
- name: Rotate now
  leasehold.vault.database_static_role_rotation:
    name: reports

- name: Rotate what has not been rotated for a month
  leasehold.vault.database_static_role_rotation:
    name: reports
    older_than: 30d
"""

RETURN = r"""
static_role:
  description: The static role as it now is.
  returned: success
  type: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, text
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act
from ansible_collections.leasehold.vault.plugins.module_utils._operations.static_rotation import rotate_static_role
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import named

TASK = act((MOUNT, named("role_name"), text("older_than")), rotate_static_role)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
