# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which branches of the plugins the unit tests and the stories take: `./test unit stories coverage`.

Prints the files of which some are left, with their lines, and fails when too many are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import coverage

ENOUGH = 95.0


def main(directory: Path) -> int:
    data = [str(file) for name in ("unit", "stories") for file in directory.glob(f"{name}.*")]
    if len({Path(file).name.split(".")[0] for file in data}) < 2:
        print("unit and stories have not both been run: ./test unit stories coverage")
        return 1
    measured = coverage.Coverage(data_file=str(directory / "both"), source=["plugins"])
    measured.combine(data, keep=True)
    measured.report(show_missing=True, skip_covered=True)
    measured.json_report(outfile=str(directory / "both.json"))
    totals = json.loads((directory / "both.json").read_text())["totals"]
    taken, all_of_them = totals["covered_branches"], totals["num_branches"]
    percent = 100 * taken / all_of_them
    print(f"\n{taken} of {all_of_them} branches: {percent:.1f} %, at least {ENOUGH:.0f} % are asked for")
    return 0 if percent >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
