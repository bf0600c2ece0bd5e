# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module_util is PRIVATE to the collection: it may change without notice.

"""The protocol of Vault and OpenBao: requests, logins, options of a connection, what each server knows."""

from __future__ import annotations
