#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage ACL policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acl_policy
short_description: Manage ACL policies
description:
  - Makes sure that an ACL policy (C(sys/policies/acl/<name>)) is as asked, or absent.
  - Policies are compared by what they mean; comments, white space, the order of paths and capabilities, and HCL or JSON make no difference.
    The server keeps the text as it was sent.
  - What the server would take and then quietly do otherwise is refused; C(deny) beside other capabilities, C(*) in the middle of a
    path, a template that is none.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the policy. Vault keeps it in lower case.
    type: str
    required: true
  policy:
    description:
      - The policy as text, HCL or JSON, or as a map in the shape of the JSON form. Required when the policy is made.
      - In HCL, mark templates such as C({{identity.entity.id}}) C(!unsafe), so that Ansible leaves them alone.
    type: raw
    aliases: [rules]
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.auth_role
"""

EXAMPLES = r"""
- name: What the application may do
  leasehold.vault.acl_policy:
    name: app
    policy: |
      # Read the credentials of its role, and nothing else
      path "database/creds/app-role" {
        capabilities = ["read"]
      }

- name: The same as a map
  leasehold.vault.acl_policy:
    name: app
    policy:
      path:
        database/creds/app-role: {capabilities: [read]}
"""

RETURN = r"""
policy:
  description: The policy as it now is (in a check run, as it would be), with the text as the server keeps it; empty when absent.
  returned: success
  type: dict
  sample:
    name: app
    policy: |
      path "database/creds/app-role" {
        capabilities = ["read"]
      }
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.acl_policy import POLICY

TASK = state(POLICY)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
