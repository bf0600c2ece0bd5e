#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the leases below a prefix."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lease_info
short_description: Read the leases below a prefix
description:
  - Lists leases with their age and end, counts them by role, and shows those that cannot be revoked with their error.
  - Needs C(list) and C(sudo) on C(sys/leases/lookup/<prefix>), C(update) on C(sys/leases/lookup), and C(read) and C(sudo) on C(sys/leases) for
    the irrevocable ones. What lacks is named.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  prefix:
    description: Where to look, for instance C(database/creds) or C(database/creds/app-role).
    type: str
    default: database/creds
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Who holds what
  leasehold.vault.lease_info:
    prefix: database/creds
  register: held
"""

RETURN = r"""
leases:
  description:
    - The leases. One is C(overdue) when its time is over and it is still there, because its revocation fails or is under way, and
      C(irrevocable) when Vault has given up.
  returned: success
  type: list
  elements: dict
  sample:
    - lease_id: database/creds/app-role/XzyfzZK5FJoTVCYNSH3cnKGD
      role: app-role
      ttl: 1800
      age: 1800
      issued_at: "2026-01-31T11:30:00Z"
      expires_at: "2026-01-31T12:30:00Z"
      renewable: true
      overdue: false
      irrevocable: false
      error: ""
counts:
  description: The number of leases by role.
  returned: success
  type: dict
  sample: {app-role: 1}
irrevocable:
  description: The number of leases that Vault has given up revoking.
  returned: success
  type: int
server_time:
  description: The server's time of the answer, ISO 8601 in UTC, against which C(expires_at) and C(issued_at) count.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00Z"
"""

from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import read_leases
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import act

TASK = act((Field("prefix", spec={"default": "database/creds"}),), read_leases)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
