#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read password policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: password_policy_info
short_description: Read password policies
description:
  - Reads one password policy, or all of them.
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
  leasehold.vault.password_policy_info:
    name: typed

- name: Read all
  leasehold.vault.password_policy_info:
  register: found
"""

RETURN = r"""
password_policies:
  description: The policies, as M(leasehold.vault.password_policy) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.password_policy import PASSWORD_POLICY

TASK = info(PASSWORD_POLICY, "password_policies", "sys/policies/password")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
