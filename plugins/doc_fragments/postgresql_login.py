# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the modules log in that talk to PostgreSQL only."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_user:
    description: The role to log in as.
    type: str
    default: postgres
  login_password:
    description: Its password. If left out, libpq looks into C(~/.pgpass).
    type: str
  connect_timeout:
    description: How many seconds to wait for a server that does not answer.
    type: int
    default: 10
"""

    # Of one server, which is not in a list.
    SERVER = r"""
options:
  login_host:
    description: Where to log in; libpq's default if left out. Several hosts with commas, each with a port or not.
    type: str
  login_port:
    description: The port there.
    type: int
  login_unix_socket:
    description: Directory of a socket, if there is no O(login_host).
    type: path
  login_ssl_mode:
    description: How to use TLS. V(verify-full) if there is an O(login_ca_cert), else V(prefer).
    type: str
  login_ca_cert:
    description: File with the certificate authority of the server.
    type: path
  login_client_cert:
    description: File with a certificate to log in by.
    type: path
  login_client_key:
    description: File with its key.
    type: path
"""
