# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Written by tests/tools/generate.py. Ansible loads an action plugin in the main process, before its workers fork.

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.modules.postgresql_cutover import TASK
from ansible_collections.leasehold.vault.plugins.plugin_utils._action import LeaseholdAction


class ActionModule(LeaseholdAction):
    task = TASK
