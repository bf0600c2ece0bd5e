#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read rate limit quotas."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rate_limit_quota_info
short_description: Read rate limit quotas
description:
  - Reads one rate limit quota, or all of them.
  - The list is empty if what is named does not exist, unless O(must_exist=true).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  name:
    description: Name of the quota. Left out, all are read.
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state.must_exist
  - leasehold.vault.attributes.info
"""

EXAMPLES = r"""
- name: Read one
  leasehold.vault.rate_limit_quota_info:
    name: app-logins

- name: Read all
  leasehold.vault.rate_limit_quota_info:
  register: found
"""

RETURN = r"""
rate_limit_quotas:
  description: The quotas, as M(leasehold.vault.rate_limit_quota) returns them.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import info
from ansible_collections.leasehold.vault.plugins.module_utils._resources.rate_limit_quota import RATE_LIMIT_QUOTA

TASK = info(RATE_LIMIT_QUOTA, "rate_limit_quotas", "sys/quotas/rate-limit")


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
