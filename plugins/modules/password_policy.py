#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage password policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: password_policy
short_description: Manage password policies
description:
  - Makes sure that a password policy (C(sys/policies/password/<name>)) is as asked, or absent.
  - A connection names it as its C(password_policy), a role or static role in its C(credential_config). It counts from the next password on.
  - The server checks the policy, and makes a password by it, when it is written. Nothing but a write can ask it to, so a check run does
    not know whether the server takes the policy.
  - What the server takes without a word is a warning, also in a check run; words it ignores, such as C(min_chars), and a C(') among the
    characters, which breaks the SQL of connections with C(password_authentication=password).
  - The server does not refuse to delete a policy that is in use. It then makes no password for those who name it (C(no password policy
    found)); no user is issued, nothing is rotated. This module refuses it if a connection, role or static role of a database secrets
    engine names it, and warns where the token may not look. Other engines are not looked at.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the policy.
    type: str
    required: true
  policy:
    description:
      - The policy as text, HCL; white space around it makes no difference. Required when the policy is made.
      - It holds C(length) (4 to 100), and each C(rule "charset") its C(charset) and, if that many shall be in every password, C(min-chars).
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.state.validated
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.database_connection
  - module: leasehold.vault.database_static_role
"""

EXAMPLES = r"""
- name: Passwords that can be typed
  leasehold.vault.password_policy:
    name: typed
    policy: |
      length = 24
      rule "charset" {
        charset = "abcdefghijkmnpqrstuvwxyz"
      }
      rule "charset" {
        charset   = "23456789"
        min-chars = 4
      }

- name: Let a connection make its passwords by it
  leasehold.vault.database_connection:
    name: production-db
    password_policy: typed
"""

RETURN = r"""
password_policy:
  description: The policy as it now is (in a check run, as it would be), with the text as the server keeps it; empty when absent.
  returned: success
  type: dict
  sample:
    name: typed
    policy: |
      length = 24
      rule "charset" {
        charset = "abcdefghijkmnpqrstuvwxyz23456789"
      }
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.password_policy import PASSWORD_POLICY

TASK = state(PASSWORD_POLICY)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
