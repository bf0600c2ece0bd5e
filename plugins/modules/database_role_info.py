#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read dynamic database roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_role_info
short_description: Read dynamic database roles
description:
  - Reads one dynamic role, or all dynamic roles of an engine. Statements are shown as readable SQL, also where the server holds them encoded.
  - The list is empty if what is named does not exist, unless O(must_exist=true). A mount that does not exist is an error.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the role. Left out, all are read.
    type: str
    aliases: [role_name]
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.database_role_info:
    name: app-role

- name: Read all
  leasehold.vault.database_role_info:
  register: found
"""

RETURN = r"""
roles:
  description: The roles, as M(leasehold.vault.database_role) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE

TASK = info(ROLE, "roles", "{mount}/roles")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
