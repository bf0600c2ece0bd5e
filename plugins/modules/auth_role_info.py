#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read auth roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: auth_role_info
short_description: Read auth roles
description:
  - Reads one role of an auth method, or all of them.
  - The list is empty if what is named does not exist, unless O(must_exist=true). A mount that does not exist is an error.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  type:
    description: The type of the auth method.
    type: str
    choices: [approle, kubernetes, jwt]
    required: true
  mount:
    description: Where the method is mounted, without C(auth/) in front; the name of its O(type) if left out.
    type: str
  name:
    description: Name of the role. Left out, all are read.
    type: str
    aliases: [role_name]
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.auth_role_info:
    type: approle
    name: app

- name: Read all
  leasehold.vault.auth_role_info:
    type: approle
  register: found
"""

RETURN = r"""
auth_roles:
  description: The roles, as M(leasehold.vault.auth_role) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.auth_roles import auth_role_info

TASK = auth_role_info()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
