# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach the server."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - 'Address of Vault or OpenBao, C(https://vault.example.com:8200), without C(/v1).'
      - 'Environment: E(VAULT_ADDR), E(BAO_ADDR).'
      - 'Variable: C(leasehold_url), C(ansible_hashi_vault_url), C(ansible_hashi_vault_addr).'
    type: str
    aliases: [vault_address]
  namespace:
    description:
      - 'Namespace to work in. V(root) is the same as leaving it out.'
      - 'Refused, before anything is sent, for a server without namespaces (the Community edition of HashiCorp Vault): it would ignore the namespace and do
        everything in its root. C(sys/health) tells, without a token.'
      - 'Environment: E(VAULT_NAMESPACE), E(BAO_NAMESPACE).'
      - 'Variable: C(leasehold_namespace), C(ansible_hashi_vault_namespace).'
    type: str
    aliases: [vault_namespace]
  namespace_check:
    description:
      - 'V(false) sends O(namespace) also to a server of which it cannot be found out whether it has namespaces, because something on the way hides
        C(sys/health). A server that says that it has none is refused all the same.'
      - 'Environment: E(LEASEHOLD_NAMESPACE_CHECK).'
      - 'Variable: C(leasehold_namespace_check).'
    type: bool
    default: true
    version_added: 1.1.0
  validate_certs:
    description:
      - 'Whether the server''s certificate must verify. Left out, it must, unless O(tls_skip_verify) is set.'
      - 'Turning it off is answered with a warning.'
      - 'Variable: C(leasehold_validate_certs), C(ansible_hashi_vault_validate_certs).'
    type: bool
  tls_skip_verify:
    description:
      - 'The opposite of O(validate_certs), under the name other collections and the command line use.'
      - 'O(validate_certs) wins when both are given.'
      - 'Environment: E(VAULT_SKIP_VERIFY), E(BAO_SKIP_VERIFY).'
      - 'Variable: C(leasehold_tls_skip_verify).'
    type: bool
  ca_cert:
    description:
      - 'File with the certificates of the authorities to trust, or a directory of such files.'
      - 'Environment: E(VAULT_CACERT), E(BAO_CACERT), E(VAULT_CAPATH), E(BAO_CAPATH).'
      - 'Variable: C(leasehold_ca_cert), C(ansible_hashi_vault_ca_cert).'
    type: path
    aliases: [cacert, ssl_ca_cert]
  tls_server_name:
    description:
      - 'The name that the server''s certificate must hold, when it is another than the one in O(url).'
      - 'Environment: E(VAULT_TLS_SERVER_NAME), E(BAO_TLS_SERVER_NAME).'
      - 'Variable: C(leasehold_tls_server_name).'
    type: str
    version_added: 1.1.0
  client_cert:
    description:
      - 'File with a client certificate, for servers that ask for one and for O(auth_method=cert).'
      - 'Environment: E(VAULT_CLIENT_CERT), E(BAO_CLIENT_CERT).'
      - 'Variable: C(leasehold_client_cert).'
    type: path
    aliases: [cert_auth_public_key]
  client_key:
    description:
      - 'File with the key of O(client_cert), when that file does not hold it as well.'
      - 'Environment: E(VAULT_CLIENT_KEY), E(BAO_CLIENT_KEY).'
      - 'Variable: C(leasehold_client_key).'
    type: path
    aliases: [cert_auth_private_key]
  timeout:
    description:
      - 'How long to wait for an answer: seconds, or a duration such as V(2m).'
      - 'Environment: E(VAULT_CLIENT_TIMEOUT), E(VAULT_TIMEOUT).'
      - 'Variable: C(leasehold_timeout), C(ansible_hashi_vault_timeout).'
    type: str
    default: 60s
  retries:
    description:
      - 'How often a request is repeated while the server is unreachable, sealed, rate limited or without a leader; the waits are 0.5, 1, 2, 4, 4… seconds,
        by default 23 together, in which a cluster finds a new leader.'
      - 'A rotation is repeated only where it is certain that it was not carried out. Where a user may have been issued by the request before,
        a warning says so.'
      - 'Environment: E(VAULT_MAX_RETRIES), E(VAULT_RETRIES).'
      - 'Variable: C(leasehold_retries), C(ansible_hashi_vault_retries).'
    type: int
    default: 8
  proxies:
    description:
      - 'Proxy for the requests: one address, or a dictionary of addresses by scheme (C(http), C(https)).'
      - 'Environment: E(VAULT_PROXY_ADDR), E(VAULT_PROXIES).'
      - 'Variable: C(leasehold_proxies), C(ansible_hashi_vault_proxies).'
    type: raw
requirements:
  - hvac (Python library), where the task runs
"""

    PLUGINS = r"""
options:
  url:
    env:
      - name: BAO_ADDR
      - name: VAULT_ADDR
    ini:
      - section: leasehold_vault
        key: url
    vars:
      - name: ansible_hashi_vault_addr
      - name: ansible_hashi_vault_url
      - name: leasehold_url
  namespace:
    env:
      - name: BAO_NAMESPACE
      - name: VAULT_NAMESPACE
    ini:
      - section: leasehold_vault
        key: namespace
    vars:
      - name: ansible_hashi_vault_namespace
      - name: leasehold_namespace
  namespace_check:
    env:
      - name: LEASEHOLD_NAMESPACE_CHECK
    ini:
      - section: leasehold_vault
        key: namespace_check
    vars:
      - name: leasehold_namespace_check
  validate_certs:
    ini:
      - section: leasehold_vault
        key: validate_certs
    vars:
      - name: ansible_hashi_vault_validate_certs
      - name: leasehold_validate_certs
  tls_skip_verify:
    env:
      - name: BAO_SKIP_VERIFY
      - name: VAULT_SKIP_VERIFY
    ini:
      - section: leasehold_vault
        key: tls_skip_verify
    vars:
      - name: leasehold_tls_skip_verify
  ca_cert:
    env:
      - name: BAO_CAPATH
      - name: VAULT_CAPATH
      - name: BAO_CACERT
      - name: VAULT_CACERT
    ini:
      - section: leasehold_vault
        key: ca_cert
    vars:
      - name: ansible_hashi_vault_ca_cert
      - name: leasehold_ca_cert
  tls_server_name:
    env:
      - name: BAO_TLS_SERVER_NAME
      - name: VAULT_TLS_SERVER_NAME
    ini:
      - section: leasehold_vault
        key: tls_server_name
    vars:
      - name: leasehold_tls_server_name
  client_cert:
    env:
      - name: BAO_CLIENT_CERT
      - name: VAULT_CLIENT_CERT
    ini:
      - section: leasehold_vault
        key: client_cert
    vars:
      - name: leasehold_client_cert
  client_key:
    env:
      - name: BAO_CLIENT_KEY
      - name: VAULT_CLIENT_KEY
    ini:
      - section: leasehold_vault
        key: client_key
    vars:
      - name: leasehold_client_key
  timeout:
    env:
      - name: VAULT_TIMEOUT
      - name: VAULT_CLIENT_TIMEOUT
    ini:
      - section: leasehold_vault
        key: timeout
    vars:
      - name: ansible_hashi_vault_timeout
      - name: leasehold_timeout
  retries:
    env:
      - name: VAULT_RETRIES
      - name: VAULT_MAX_RETRIES
    ini:
      - section: leasehold_vault
        key: retries
    vars:
      - name: ansible_hashi_vault_retries
      - name: leasehold_retries
  proxies:
    env:
      - name: VAULT_PROXIES
      - name: VAULT_PROXY_ADDR
    ini:
      - section: leasehold_vault
        key: proxies
    vars:
      - name: ansible_hashi_vault_proxies
      - name: leasehold_proxies
"""
