# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: revoke_leases
type: notification
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
short_description: Revoke the run's own leases when it ends
description:
  - Revokes the users that the lookup P(leasehold.vault.database_credentials#lookup) issued with C(revoke=at_end), whether the run succeeded,
    failed, or was ended by Ctrl-C or SIGTERM; then the run's own login, unless users that shall live on depend on it.
  - With C(nodes) and C(login_user) of the lookup, ends the sessions of these users on standbys, too.
  - Prints one line per role, and a warning with the leases that could not be revoked.
  - A run that is killed (SIGKILL) revokes nothing; its users end with their leases.
requirements:
  - enable it with C(callbacks_enabled=leasehold.vault.revoke_leases) in C(ansible.cfg), or E(ANSIBLE_CALLBACKS_ENABLED)
options:
  timeout:
    description: The most seconds a run may be delayed by it.
    type: int
    default: 30
    env:
      - name: LEASEHOLD_REVOKE_TIMEOUT
    ini:
      - section: leasehold_vault
        key: revoke_timeout
"""

import typing as t

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.end import end_of_run


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "leasehold.vault.revoke_leases"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        end_of_run().revoke_leases(float(t.cast("t.Any", self).get_option("timeout")))
        # Loaded here, in the main process, they are inherited by the workers; otherwise each mention loads them again.
        for lookup in ("database_credentials", "database_static_credentials"):
            lookup_loader.get(f"leasehold.vault.{lookup}")
