#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read database connections."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_connection_info
short_description: Read database connections
description:
  - Reads one connection, or all connections of an engine. Passwords are not part of it; Vault never gives them out.
  - The list is empty if what is named does not exist, unless O(must_exist=true). A mount that does not exist is an error.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the connection. Left out, all are read.
    type: str
    aliases: [connection_name]
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.database_connection_info:
    name: production-db

- name: Read all
  leasehold.vault.database_connection_info:
  register: found
"""

RETURN = r"""
connections:
  description: The connections, as M(leasehold.vault.database_connection) returns them. Statements are shown decoded.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION

TASK = info(CONNECTION, "connections", "{mount}/config")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
