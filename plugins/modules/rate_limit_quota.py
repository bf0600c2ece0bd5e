#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage rate limit quotas."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rate_limit_quota
short_description: Manage rate limit quotas
description:
  - Makes sure that a rate limit quota (C(sys/quotas/rate-limit/<name>)) is as asked, or absent.
  - The server counts the requests of each client address, on each of its nodes, and answers C(429) to those beyond the rate. All that a load
    balancer or a gateway hands on from its own address is one client.
  - There is one quota for each O(path) and O(role); a second one under another name is refused by the server. Of several that match, the one with
    the longest path counts.
  - A path below a mount, such as C(database/creds/app), is limited whoever reads it. A login is limited by its role with O(role).
  - The server refuses a quota for a mount that does not exist, which a check run does not know. It removes those of a mount that is removed.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  name:
    description: Name of the quota.
    type: str
    required: true
  rate:
    description: The most requests in an interval, greater than 0. Required when the quota is made.
    type: float
  interval:
    description: In which O(rate) is counted. Seconds, or V(90s), V(1m); the server's default is a second.
    type: str
  block_interval:
    description: How long an address that has reached O(rate) is refused. Forms as in O(interval); V(0) is until the next interval.
    type: str
  path:
    description:
      - What is limited. A mount (C(database), C(auth/approle)) or a path below one (C(database/creds/app)), which may end in C(*). Required when
        the quota is made.
      - An empty one limits all requests of the server.
    type: str
  role:
    description:
      - With an auth mount as O(path), limit the logins by this role alone. AppRole keeps its names in lower case; a name with capitals limits nothing.
        For Kubernetes it is the name as the login spells it, so a client that spells it otherwise is not limited.
      - OpenBao 2.7 breaks off such a request for JWT and OIDC, so it is refused where the token may read C(sys/auth/<mount>), for which it needs C(sudo).
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.state.validated
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.rate_limit_quota_info
"""

EXAMPLES = r"""
- name: At most one user a second for each host, counted over a minute
  leasehold.vault.rate_limit_quota:
    name: app-credentials
    path: database/creds/app-role
    rate: 60
    interval: 1m

- name: An application that logs in in a loop is refused for five minutes
  leasehold.vault.rate_limit_quota:
    name: app-logins
    path: auth/approle
    role: app
    rate: 20
    interval: 1m
    block_interval: 5m
"""

RETURN = r"""
rate_limit_quota:
  description: The quota as it now is (in a check run, as it would be), durations in seconds; empty when absent.
  returned: success
  type: dict
  sample:
    name: app-logins
    path: auth/approle
    role: app
    rate: 20.0
    interval: 60
    block_interval: 300
    inheritable: false
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import state
from ansible_collections.leasehold.vault.plugins.module_utils._resources.rate_limit_quota import RATE_LIMIT_QUOTA

TASK = state(RATE_LIMIT_QUOTA)


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
