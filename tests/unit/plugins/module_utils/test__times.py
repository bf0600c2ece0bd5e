# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core import times
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused


@pytest.mark.parametrize(
    ("written", "microsecond"),
    [
        ("2026-01-31T12:30:00Z", 0),
        ("2026-01-31T12:30:00.5Z", 500000),
        ("2026-01-31T12:30:00.123456789Z", 123456),
        ("2026-01-31T13:30:00.123+01:00", 123000),
    ],
)
def test_a_moment_is_read_as_vault_writes_it_and_said_in_utc(written, microsecond):
    moment = times.time_of(written)
    assert moment.microsecond == microsecond
    assert times.timestamp(moment) == "2026-01-31T12:30:00Z"


def test_what_is_no_duration_is_refused_under_the_name_of_its_option():
    assert times.seconds_of("valid_for", "1h30m") == 5400
    with pytest.raises(Refused, match=r"^valid_for: 'soon' is not a duration"):
        times.seconds_of("valid_for", "soon")
