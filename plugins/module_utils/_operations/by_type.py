# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Options that belong to one type of auth mount."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
        Resource,
        Values,
    )


def only_of(chosen: str, desired: Values, kinds: t.Mapping[str, Resource]) -> None:
    """The server would take an option of another type without a word."""
    own = {f.option for f in kinds[chosen].fields} if chosen in kinds else set()
    for kind, resource in kinds.items():
        foreign = [f.option for f in resource.fields if f.option not in own and desired.get(f.option) is not None]
        if foreign:
            raise Refused(
                f"{', '.join(foreign)}: not an option of type {chosen} but of {kind}; Vault would silently ignore it."
            )


def union(kinds: t.Mapping[str, Resource]) -> Values:
    options: Values = {}
    for resource in kinds.values():
        options |= {option: spec for option, spec in resource.argument_spec().items() if option not in options}
    return options
