# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the modules log in that look into the database of a connection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_password:
    description: The password of O(login_user).
    type: str
  login_host:
    description:
      - Host of the database as seen from where the task runs, when it is not the one of the connection.
      - A name, an IPv4 or IPv6 address, the directory of a socket, or several of them with commas, each with a port or not.
    type: str
  login_port:
    description: Port of the database as seen from where the task runs.
    type: int
  login_ca_cert:
    description: File with the authority that signed the database's certificate, where the task runs.
    type: path
  login_client_cert:
    description: File with the certificate by which O(login_user) logs in, where the task runs.
    type: path
    version_added: 1.1.0
  login_client_key:
    description: File with the key of O(login_client_cert).
    type: path
    version_added: 1.1.0
"""
