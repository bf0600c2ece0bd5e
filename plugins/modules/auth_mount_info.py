#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read auth methods."""

from __future__ import annotations

DOCUMENTATION = r"""
module: auth_mount_info
short_description: Read auth methods
description:
  - Reads one enabled auth method with its configuration, or all of the types that M(leasehold.vault.auth_mount) knows.
  - All needs the right to read C(sys/auth); one needs to read C(sys/auth/<mount>), and C(sudo) there, as the server wants it.
  - The list is empty if O(mount) does not exist, unless O(must_exist=true).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  mount:
    description: Where it is mounted, without C(auth/) in front. Left out, all are read.
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.auth_mount_info:
    mount: approle

- name: Read all
  leasehold.vault.auth_mount_info:
  register: found
"""

RETURN = r"""
auth_mounts:
  description: The methods, as M(leasehold.vault.auth_mount) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.auth_mounts import show_mounts
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import MUST_EXIST, Task
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import PATH

TASK = Task({"mount": PATH.argument(), **MUST_EXIST}, show_mounts)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
