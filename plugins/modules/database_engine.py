#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mount, tune and unmount a database secrets engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_engine
short_description: Mount, tune and unmount a database secrets engine
description:
  - Makes sure that a database secrets engine is mounted and tuned as asked, or that it is not mounted.
  - TTLs are compared with what is configured (C(sys/mounts)), not with what is in effect (C(sys/mounts/…/tune) shows the system default
    where nothing is configured).
  - Unmounting revokes all leases of the engine; it is refused while there are any, unless O(revoke_leases=true).
  - A mount of another type at the path is refused, and so is a mount that is tainted, with the way out.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  description:
    description: What people read beside the mount.
    type: str
  default_lease_ttl:
    description:
      - How long a lease lives when neither its role nor the request says so. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the
        server's own default (32 days).
    type: str
  max_lease_ttl:
    description:
      - The most a lease can live, renewals included. Forms as in O(default_lease_ttl).
    type: str
  listing_visibility:
    description: Whether the mount is listed to people who are not logged in.
    type: str
    choices: [hidden, unauth]
  audit_non_hmac_request_keys:
    description: Keys of requests that the audit log shows in clear.
    type: list
    elements: str
  audit_non_hmac_response_keys:
    description: Keys of answers that the audit log shows in clear.
    type: list
    elements: str
  passthrough_request_headers:
    description: Request headers handed to the engine.
    type: list
    elements: str
  allowed_response_headers:
    description: Response headers the engine may set.
    type: list
    elements: str
  force_no_cache:
    description: Turn off caching for the mount. Can be chosen at creation only.
    type: bool
  local:
    description: Keep the mount on this cluster, out of replication. Can be chosen at creation only.
    type: bool
  seal_wrap:
    description: Wrap its storage with the seal. Can be chosen at creation only.
    type: bool
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.mount
  - leasehold.vault.state
  - leasehold.vault.state.leases
  - leasehold.vault.attributes
"""

EXAMPLES = r"""
- name: Mount the engine
  leasehold.vault.database_engine:
    mount: database
    description: Short-lived PostgreSQL users
    default_lease_ttl: 1h
    max_lease_ttl: 24h

- name: Unmount it, and end every lease it issued
  leasehold.vault.database_engine:
    mount: database
    state: absent
    revoke_leases: true
"""

RETURN = r"""
engine:
  description: The mount as it now is (in a check run, as it would be); empty when absent. TTLs are seconds, V(0) is the server's default.
  returned: success
  type: dict
  sample:
    mount: database
    type: database
    description: Short-lived PostgreSQL users
    default_lease_ttl: 3600
    max_lease_ttl: 86400
    accessor: database_9180dc94
revoked_leases:
  description: How many leases were revoked before the mount was removed.
  returned: when there were any
  type: int
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.engine import ENGINE

TASK = state(ENGINE)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
