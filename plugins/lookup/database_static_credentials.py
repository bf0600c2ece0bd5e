# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_static_credentials
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
short_description: Read the current password of a static database role, once per run
description:
  - Reads the user and the current password of a static role. The user stays; Vault rotates its password.
  - It is read once per run, and again once Vault was due to rotate it.
  - In check mode placeholders of the same shape are returned, since the role may not exist yet.
options:
  _terms:
    description: Names of static roles.
    required: true
  read_in_check_mode:
    description: Read in check mode as well; reading changes nothing.
    type: bool
    default: false
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.connection.plugins
  - leasehold.vault.auth
  - leasehold.vault.auth.plugins
  - leasehold.vault.mount
  - leasehold.vault.mount.plugins
seealso:
  - module: leasehold.vault.database_credentials
"""

EXAMPLES = r"""
- name: Who the reports log in as
  ansible.builtin.debug:
    msg: "{{ lookup('leasehold.vault.database_static_credentials', 'reports').username }}"
"""

RETURN = r"""
_raw:
  description:
    - One dictionary for each role, with C(username), C(password) and, for templates that work with both lookups, an empty C(lease_id),
      C(lease_duration), C(expires_in) and C(expires_at) (until the next rotation) and C(renewable) (false); C(last_vault_rotation) is when Vault set
      the password.
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.plugin_utils._lookup import StaticCredentials, declare_options

declare_options(__name__, {"read_in_check_mode": {"type": "bool", "default": False}})


class LookupModule(StaticCredentials):
    """Named so that Ansible finds it."""
