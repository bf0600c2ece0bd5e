#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hash known values as an audit device does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_hash
short_description: Hash known values as an audit device does
description:
  - An audit device writes user names, tokens and most other values as hashes (HMAC-SHA256, with a key of its own). This module asks Vault
    for the hashes of values that are known, so that they can be looked for in the log of that device (C(sys/audit-hash/<device>)).
  - Nothing is changed, and a hash cannot be turned back into its value.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  device:
    description: Name of the audit device.
    type: str
    required: true
  inputs:
    description: The values. They may be secrets, so they are not shown.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Find out what the audit log has in the place of a user
  leasehold.vault.audit_hash:
    device: main
    inputs: [v-approle-app-role-XzyfzZK5FJoTVCYNSH3c-1769860800]
"""

RETURN = r"""
hashes:
  description: The hashes, in the order of O(inputs).
  returned: success
  type: list
  elements: str
  sample: ["hmac-sha256:08ba357e274f528065766c770a639abf6809b39ccfd37c2a3157c7f51954da0a"]
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.audit import audit_hash

TASK = audit_hash()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
