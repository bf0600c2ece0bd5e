# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules support."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Predicts the result without changing anything.
    support: full
  diff_mode:
    description: Shows what differs, before and after, as sorted YAML. Secrets are never part of it.
    support: full
  action_group:
    description: Use C(group/leasehold.vault.vault) in C(module_defaults) to set connection and login options once.
    support: full
    membership: [leasehold.vault.vault]
"""

    INFO = r"""
attributes:
  check_mode:
    description: Reads only, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: N/A
  action_group:
    description: Use C(group/leasehold.vault.vault) in C(module_defaults) to set connection and login options once.
    support: full
    membership: [leasehold.vault.vault]
"""

    ACT = r"""
attributes:
  check_mode:
    description: Predicts that it would act, and does not.
    support: full
  diff_mode:
    description: What it does cannot be shown as a difference.
    support: none
  action_group:
    description: Use C(group/leasehold.vault.vault) in C(module_defaults) to set connection and login options once.
    support: full
    membership: [leasehold.vault.vault]
"""
