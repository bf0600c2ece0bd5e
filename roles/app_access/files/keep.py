# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After place.py in one program: the files that came on standard input, with their owner; prints whether something had to be done."""

import json
import sys

order = json.load(sys.stdin)
changed = [place(path, content, order) for path, content in order["files"].items()]  # noqa: F821 # pylint: disable=undefined-variable
sys.stdout.write("changed" if any(changed) else "ok")
