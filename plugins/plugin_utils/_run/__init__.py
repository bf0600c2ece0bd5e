# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What a run of ansible-playbook holds, and its end."""

from __future__ import annotations
