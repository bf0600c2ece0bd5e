#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage audit devices."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_device
short_description: Manage audit devices
description:
  - Makes sure that an audit device (C(sys/audit/<name>)) is there as asked, or absent.
  - OpenBao takes audit devices from the files of the server and refuses to make or remove them over the API (unless it was started with
    C(unsafe_allow_api_audit_creation)). The role C(lease_monitoring) writes such a file. One that is there already is accepted.
  - A device that is there cannot be changed, only removed and made again, which loses what happens in between.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  name:
    description: Name of the device.
    type: str
    required: true
  type:
    description: What it writes to. V(file) when it is made and this is left out.
    type: str
    choices: [file, socket, syslog]
  description:
    description: What people read about it.
    type: str
  options:
    description:
      - Options of its type, for instance C(file_path) and C(mode) of a V(file).
      - C(mode) is written in quotes. Vault 1.20.1 and newer refuse one that makes the file executable.
    type: dict
  local:
    description: Do not replicate.
    type: bool
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.attributes
"""

EXAMPLES = r"""
- name: Keep an audit log
  leasehold.vault.audit_device:
    name: main
    type: file
    options:
      file_path: /var/log/vault/audit.log
      mode: "0600"
"""

RETURN = r"""
audit_device:
  description: The device as it now is (in a check run, as it would be); empty when absent.
  returned: success
  type: dict
  sample:
    name: main
    type: file
    description: ""
    options: {file_path: /var/log/vault/audit.log, mode: "0600"}
    local: false
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.audit import audit_device

TASK = audit_device()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
