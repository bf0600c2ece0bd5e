#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read static database roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_static_role_info
short_description: Read static database roles
description:
  - Reads one static role, or all static roles of an engine.
  - The list is empty if what is named does not exist, unless O(must_exist=true). A mount that does not exist is an error.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the static role. Left out, all are read.
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
- name: Read all
  leasehold.vault.database_static_role_info:
  register: found
"""

RETURN = r"""
static_roles:
  description: The static roles, as M(leasehold.vault.database_static_role) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE

TASK = info(STATIC_ROLE, "static_roles", "{mount}/static-roles")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
