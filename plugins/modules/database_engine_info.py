#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read database secrets engines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_engine_info
short_description: Read database secrets engines
description:
  - Reads one mounted database secrets engine, or all of them.
  - All needs the right to read C(sys/mounts); one needs C(sys/mounts/<mount>).
  - The list is empty if O(mount) does not exist, unless O(must_exist=true).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  mount:
    description: Path of the engine. Left out, all mounts of type C(database) are read.
    type: str
    aliases: [database_mount_path, vault_database_mount_path, mount_path, engine_mount_point]
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read the engine
  leasehold.vault.database_engine_info:
    mount: database
  register: found

- name: Read all of them
  leasehold.vault.database_engine_info:
"""

RETURN = r"""
engines:
  description: The engines. TTLs are seconds, V(0) is the server's default.
  returned: success
  type: list
  elements: dict
  contains: {}
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.engines import engines

TASK = engines()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
