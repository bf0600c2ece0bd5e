#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issue or revoke AppRole secret IDs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: approle_secret_id
short_description: Issue or revoke AppRole secret IDs
description:
  - O(state=present) issues a secret id for an AppRole. With O(secret_id_accessor), only when the one you have has ended, or does so within
    O(valid_for).
  - With O(wrap_ttl), the secret id never passes through here. The result holds a token instead that unwraps it once, on the host that needs
    it; whoever opened it on the way has used it up, which shows.
  - O(state=absent) ends a secret id at once. Tokens that were got with it live on.
  - A secret id in the result is a secret. Set C(no_log=true) on the task, unless you want it in the output of C(-v) and in the log. A
    wrapping token is one as well, until it is used.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  mount:
    description: Where the AppRole method is mounted, without C(auth/) in front.
    type: str
    default: approle
  name:
    description: Name of the role.
    type: str
    required: true
    aliases: [role_name]
  state:
    description: Whether there shall be a secret id, or the one of O(secret_id_accessor) shall end.
    type: str
    choices: [present, absent]
    default: present
  secret_id_accessor:
    description: Accessor of the secret id you have. It names a secret id and does not open anything.
    type: str
  valid_for:
    description: How much longer the one you have must be good. Seconds, or V(90m), V(1h30m), V(2d).
    type: str
  wrap_ttl:
    description: Wrap it, for that long. Forms as in O(valid_for).
    type: str
  ttl:
    description: How long it is good, if less than the role says. Forms as in O(valid_for).
    type: str
  num_uses:
    description: How many logins it is good for, if fewer than the role says.
    type: int
  cidr_list:
    description: Networks from which it can be used, within those of the role.
    type: list
    elements: str
  token_bound_cidrs:
    description: Networks from which its tokens can be used, within those of the role.
    type: list
    elements: str
  metadata:
    description: What the tokens that are got with it carry as metadata, and the audit log shows.
    type: dict
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.attributes.act
seealso:
  - module: leasehold.vault.auth_role
"""

EXAMPLES = r"""
- name: Issue one that is unwrapped on the host
  leasehold.vault.approle_secret_id:
    name: app
    wrap_ttl: 2m
    metadata: {host: "{{ inventory_hostname }}"}
  register: issued
  no_log: true

- name: Issue another only when that one has ended, or ends within a week
  leasehold.vault.approle_secret_id:
    name: app
    secret_id_accessor: "{{ issued.secret_id.secret_id_accessor }}"
    valid_for: 7d

- name: End it
  leasehold.vault.approle_secret_id:
    name: app
    secret_id_accessor: "{{ issued.secret_id.secret_id_accessor }}"
    state: absent
"""

RETURN = r"""
secret_id:
  description:
    - What is known of the secret id; the secret itself (C(secret_id)) only when it was issued now and not wrapped.
    - Empty in a check run that predicts another one.
  returned: with state present
  type: dict
  sample:
    secret_id: 894aec17-d0db-6bb1-305d-93a84f2afb45
    secret_id_accessor: 07ca1250-ef9f-809a-e711-9b25567ba30d
    secret_id_ttl: 2592000
    secret_id_num_uses: 0
wrap_info:
  description: The token that unwraps it, with C(creation_path) and C(ttl), as the server returned them.
  returned: when it was issued with O(wrap_ttl)
  type: dict
  sample:
    token: s.3linabpmbkHQfSrzYZoeGz7C
    accessor: xwJ3bujIJl0JX50oYnUZPFIX
    ttl: 120
    creation_time: "2026-01-31T12:30:00.604625571Z"
    creation_path: auth/approle/role/app/secret-id
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.secret_ids import secret_id

TASK = secret_id()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
