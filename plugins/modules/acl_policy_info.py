#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acl_policy_info
short_description: Read policies
description:
  - Reads one ACL policy, or all of them.
  - The list is empty if what is named does not exist, unless O(must_exist=true).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the policy. Left out, all are read.
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.acl_policy_info:
    name: app

- name: Read all
  leasehold.vault.acl_policy_info:
  register: found
"""

RETURN = r"""
policies:
  description: The policies, as M(leasehold.vault.acl_policy) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.acl_policy import POLICY

TASK = info(POLICY, "policies", "sys/policies/acl")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
