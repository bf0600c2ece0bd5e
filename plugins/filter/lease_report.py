# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.report import lease_report


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lease_report": lease_report}
