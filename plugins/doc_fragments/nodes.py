# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers on which users have sessions."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  nodes:
    description:
      - The servers on which users have sessions, the primary among them. The filter P(leasehold.vault.database_nodes#filter) makes them of entries of
        C(vault_databases).
    type: list
    elements: dict
    version_added: 1.1.0
    suboptions:
      name:
        description: Servers of one name are a primary and its standbys.
        type: str
      host:
        description: Where it is; several hosts with commas are one server, that which can be written to.
        type: str
        required: true
      port:
        description: The port there.
        type: str
      database:
        description: A database on it.
        type: str
        required: true
      sslmode:
        description: How to use TLS. V(verify-full) if there is a C(ca_cert), else V(prefer).
        type: str
      ca_cert:
        description: File with the certificate authority of the server.
        type: path
      client_cert:
        description: File with a certificate to log in by.
        type: path
      client_key:
        description: File with its key.
        type: path
      target_session_attrs:
        description: Which one of several hosts is meant.
        type: str
      replica:
        description: Whether it is another way than the one by which users are made.
        type: bool
        default: false
"""

    # Who looks for sessions.
    LOGIN = r"""
options:
  login_user:
    description: The role that ends sessions on O(nodes), a superuser or a member of C(pg_signal_backend).
    type: str
    version_added: 1.1.0
  login_password:
    description: The password of O(login_user). If left out, libpq looks into C(~/.pgpass).
    type: str
    version_added: 1.1.0
"""

    # Waiting for standbys.
    REPLAY = r"""
options:
  wait_for_replay:
    description:
      - How long to wait until the user can log in on each of O(nodes), before it is returned. Seconds, or V(30s). Left out, it is returned at once, and
        standbys know it when they have replayed its creation.
    type: str
    version_added: 1.1.0
  not_replayed:
    description:
      - What to do when it cannot log in on one of them in that time. V(revoke) ends it and fails; V(warn) returns it.
    type: str
    choices: [revoke, warn]
    default: revoke
    version_added: 1.1.0
"""
