# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import CONFIGURATIONS
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_role import ROLES
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import NAMES


@pytest.mark.parametrize(
    "module", ["database_engine", "database_role", "database_sync", "database_credentials", "lease"]
)
def test_database_modules_do_not_import_auth_resources(module):
    name = f"ansible_collections.leasehold.vault.plugins.modules.{module}"
    code = f"import sys; sys.path[:] = {sys.path!r}; import {name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "module_utils._core.reconcile" in loaded
    assert "module_utils._resources.access" not in loaded
    assert "module_utils._resources.policy_language" not in loaded


@pytest.mark.parametrize("kinds", [CONFIGURATIONS, ROLES], ids=["configurations", "roles"])
def test_option_of_two_types_is_declared_once(kinds):
    declared = {}
    for resource in kinds.values():
        for field in resource.fields:
            assert declared.setdefault(field.option, field.argument()) == field.argument(), field.option
    assert not set(declared) & set(NAMES)
