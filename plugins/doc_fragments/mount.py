# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the engine is mounted."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  mount:
    description:
      - Path of the database secrets engine, without a slash at the end.
    type: str
    default: database
    aliases: [database_mount_path, vault_database_mount_path, mount_path, engine_mount_point]
"""

    PLUGINS = r"""
options:
  mount:
    vars:
      - name: leasehold_mount
"""
