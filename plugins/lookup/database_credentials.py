# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_credentials
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
short_description: Issue short-lived database credentials at play time, once per run
description:
  - Issues a PostgreSQL user from a dynamic role of the database secrets engine and returns how to log in as it.
  - However often it is mentioned, in a run each host gets one user (O(scope)). The user is remembered in the run's private
    temporary directory, encrypted with a key that only the processes of the run hold. What is about to be issued is noted there first. Where that cannot
    be done (a full or read-only disk), nothing is issued, and what could not be noted is revoked at once.
  - Past half of its life the lease is renewed. When the renewed life is too short, because the hard limit of the role is near, a new
    user is issued, and the old one lives on to its end.
  - In check mode nothing is issued; placeholders of the same shape are returned.
  - The login, too, happens once per run.
options:
  _terms:
    description: Names of dynamic roles.
    required: true
  scope:
    description:
      - Who shares a user. V(host), each host of the play has its own. V(run), one for all. V(none), a new one at every mention.
    type: str
    choices: [host, run, none]
    default: host
    vars:
      - name: leasehold_scope
  name:
    description: Tells several users of one role apart, within O(scope).
    type: str
  valid_for:
    description:
      - How much longer the user must live. Seconds, or V(30m). Left out, more than half of its life must be left.
    type: str
    vars:
      - name: leasehold_valid_for
  renew_increment:
    description: How much to ask for at a renewal, if more than O(valid_for). Left out, the default TTL of the role.
    type: str
  revoke:
    description:
      - V(never) leaves the user to its end, for credentials that are handed to an application.
      - V(at_end) revokes it when the run ends, however it ends. Needs the callback P(leasehold.vault.revoke_leases#callback).
    type: str
    choices: [never, at_end]
    default: never
    vars:
      - name: leasehold_revoke
  revoke_replaced:
    description: Revoke a user at once when a new one is issued in its place.
    type: bool
    default: false
  issue_in_check_mode:
    description: Issue in check mode as well.
    type: bool
    default: false
  nodes:
    description:
      - The servers on which the user has sessions, the primary among them, as the filter P(leasehold.vault.database_nodes#filter) makes them of entries of
        C(vault_databases).
      - Used by O(wait_for_replay), and by the callback P(leasehold.vault.revoke_leases#callback), which ends the user's sessions on standbys, as O(login_user).
    type: list
    elements: dict
    vars:
      - name: leasehold_nodes
    version_added: 1.1.0
  wait_for_replay:
    description:
      - How long to wait until the user can log in on each of O(nodes), before it is returned for the first time. Seconds, or V(30s). Left out, it is returned
        at once, and standbys know it when they have replayed its creation. Needs psycopg2.
    vars:
      - name: leasehold_wait_for_replay
  not_replayed:
    vars:
      - name: leasehold_not_replayed
  login_user:
    description:
      - With O(revoke=at_end) or O(revoke_replaced), the role that ends the sessions of users that are gone on O(nodes) after the revocation, a superuser or a
        member of C(pg_signal_backend). Left out, sessions on standbys go on.
    vars:
      - name: leasehold_nodes_login_user
  login_password:
    vars:
      - name: leasehold_nodes_login_password
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.connection.plugins
  - leasehold.vault.auth
  - leasehold.vault.auth.plugins
  - leasehold.vault.mount
  - leasehold.vault.mount.plugins
  - leasehold.vault.nodes.login
  - leasehold.vault.nodes.replay
seealso:
  - module: leasehold.vault.database_credentials
  - module: leasehold.vault.lease
"""

EXAMPLES = r"""
- name: Hand the application its own user
  ansible.builtin.debug:
    msg: "postgresql://{{ db.username }}@postgres.production.svc/appdb until {{ db.expires_at }}"
  vars:
    db: "{{ lookup('leasehold.vault.database_credentials', 'app-role') }}"

- name: A user for the migrations of this run, gone at its end
  ansible.builtin.debug:
    msg: "{{ lookup('leasehold.vault.database_credentials', 'app-role', scope='run', revoke='at_end').username }}"
"""

RETURN = r"""
_raw:
  description: One dictionary for each role.
  type: list
  elements: dict
  contains:
    username:
      description: The PostgreSQL user.
      type: str
    password:
      description: Its password.
      type: str
    lease_id:
      description: What to renew or revoke with M(leasehold.vault.lease).
      type: str
    lease_duration:
      description: Seconds, as Vault returned when the lease was issued or last renewed.
      type: int
    expires_in:
      description: Seconds until the user really ends, that is, the shorter of the lease and its token.
      type: int
    expires_at:
      description: The same as a time, ISO 8601 in UTC.
      type: str
    renewable:
      description: Whether the lease can be renewed.
      type: bool
"""

from ansible_collections.leasehold.vault.plugins.plugin_utils._lookup import DynamicCredentials, declare_options

declare_options(
    __name__,
    {
        "scope": {
            "type": "str",
            "choices": ["host", "run", "none"],
            "default": "host",
            "vars": [{"name": "leasehold_scope"}],
        },
        "name": {"type": "str"},
        "valid_for": {"type": "str", "vars": [{"name": "leasehold_valid_for"}]},
        "renew_increment": {"type": "str"},
        "revoke": {
            "type": "str",
            "choices": ["never", "at_end"],
            "default": "never",
            "vars": [{"name": "leasehold_revoke"}],
        },
        "revoke_replaced": {"type": "bool", "default": False},
        "issue_in_check_mode": {"type": "bool", "default": False},
        "nodes": {"type": "list", "elements": "dict", "vars": [{"name": "leasehold_nodes"}]},
        "wait_for_replay": {"type": "str", "vars": [{"name": "leasehold_wait_for_replay"}]},
        "not_replayed": {
            "type": "str",
            "choices": ["revoke", "warn"],
            "default": "revoke",
            "vars": [{"name": "leasehold_not_replayed"}],
        },
        "login_user": {"type": "str", "vars": [{"name": "leasehold_nodes_login_user"}]},
        "login_password": {"type": "str", "vars": [{"name": "leasehold_nodes_login_password"}]},
    },
)


class LookupModule(DynamicCredentials):
    """Named so that Ansible finds it."""
