# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A warning of a role, as the warnings of modules are shown."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display


def warning(text: str) -> str:
    """Shows the text as a warning of Ansible, and returns it."""
    Display().warning(text)
    return text


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"warning": warning}
