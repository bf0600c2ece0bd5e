# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules share that make an object be as asked."""

from __future__ import annotations


class ModuleDocFragment:
    # For every one of them.
    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether the object shall exist. An option that is left out is left as it is on the server; an option that is empty is made empty.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A check run predicts what a run does. Where an object must exist first (a mount, a connection) and does not, a run fails, and a check
    run warns, since an earlier task of the play may be about to make it.
"""

    # Beside it, for what can be asked about first.
    VALIDATED = r"""
options:
  validate:
    description:
      - Whether to ask the server, before a change, for what it would only find wrong later. Each check is one read; turn it off for a token
        without the rights to read.
    type: bool
    default: true
"""

    # Instead, for what leases depend on.
    LEASES = r"""
options:
  validate:
    description:
      - Whether to ask the server, before a change, for what it would only find wrong later, and, before a deletion or a change that they
        rely on, for live leases and for objects that name this one.
      - The server is asked only before a change. Turn it off for a token without the rights to read; then nobody looks for leases.
    type: bool
    default: true
  revoke_leases:
    description:
      - Revoke the live leases that depend on the object before it is deleted, or before a change that they rely on is made. Needs C(sudo)
        on C(sys/leases/revoke-prefix).
      - Otherwise the deletion or the change is refused while there are any, because their database users could not be removed afterwards.
    type: bool
    default: false
"""

    # Beside it, for what can change under live leases.
    KEPT = r"""
options:
  keep_leases:
    description:
      - Make a change that live leases or static roles rely on although there are any, and let them go on. It says that their users can be
        revoked afterwards just as well, such as after a fail-over to another address of the same server.
      - With O(state=absent) the object is deleted without looking for live leases, which needs no C(sudo). The database users of any that there
        are may stay in the database for good (M(leasehold.vault.database_orphans_info) finds them).
    type: bool
    default: false
    version_added: 1.1.0
"""

    # Of modules that read.
    MUST_EXIST = r"""
options:
  must_exist:
    description:
      - Whether the object that is named has to exist. With V(true) it is an error if it does not; otherwise the returned list is empty.
      - A server that cannot be asked, a right that is missing, and a secrets engine or auth method that the object would be part of and that
        does not exist are errors in any case.
    type: bool
    default: false
    version_added: 1.1.0
"""
