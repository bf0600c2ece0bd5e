# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure, and write down what was measured. Called by benchmarks/run, which prepares everything."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import converge
import credentials
import databases
import ground
import lookups
import pages
import report
import tasks

HERE = Path(__file__).resolve().parent
PARTS = {
    "A": converge.measure,
    "B": tasks.measure,
    "C": lookups.measure,
    "D": credentials.measure,
    "E": pages.measure,
    "F": databases.measure,
}


def main() -> int:
    arguments = parse()
    size = ground.QUICK if arguments.quick else ground.FULL if arguments.full else ground.DEFAULT
    whole = size.name != "quick" and arguments.only == list(PARTS)
    directory = arguments.output or HERE / "results" / ("" if whole else "partial")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends like any other, with everything stopped
    try:
        results = measure(size, arguments.only)
    except ground.servers.ServerError as error:  # without servers there is nothing to write down
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    write(directory.resolve(), results)
    print((directory / "results.md").read_text())
    return 1 if results["failed"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description="Measure leasehold.vault and its peers.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="small sizes, once: does it work? The numbers mean little")
    how.add_argument(
        "--full", action="store_true", help="more repetitions, and nothing is extrapolated (an hour or more)"
    )
    parser.add_argument("--only", type=parts, default=list(PARTS), help="some parts, for instance A,B", metavar="PARTS")
    parser.add_argument("--output", type=Path, help="where the results go", metavar="DIRECTORY")
    return parser.parse_args()


def parts(text: str) -> list[str]:
    names = text.upper().split(",")
    if unknown := set(names) - PARTS.keys():
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    return [name for name in PARTS if name in names]


def measure(size: ground.Size, names: list[str]) -> ground.Values:
    results: ground.Values = {"about": machine(size, names), "parts": {}, "failed": {}}
    began = time.monotonic()
    with ground.ground() as both:
        results["about"]["versions"] = versions(both)
        for name in names:
            try:
                results["parts"][name] = PARTS[name](both, size)
            except (ground.CannotRunError, ground.servers.ServerError) as error:
                ground.say(f"{name}  failed: {error}")
                results["failed"][name] = str(error)
    results["about"]["seconds"] = round(time.monotonic() - began)
    results["targets"] = report.targets(results)
    return results


def machine(size: ground.Size, names: list[str]) -> ground.Values:
    options = {"quick": " --quick", "full": " --full"}.get(size.name, "")
    if names != list(PARTS):
        options += f" --only {','.join(names)}"
    return {
        "command": f"benchmarks/run{options}",
        "size": size.name,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
    }


def versions(both: ground.Ground) -> dict[str, str]:
    return {
        "leasehold.vault": ours(),
        "community.hashi_vault": peer(),
        "ansible-core": importlib.metadata.version("ansible-core"),
        "Python": platform.python_version(),
        "hvac": importlib.metadata.version("hvac"),
        both.bao.program.product: str(both.bao.request("GET", "sys/seal-status", token="")["version"]),
        "PostgreSQL": str(both.sql("SHOW server_version")[0][0]).split()[0],
    }


def ours() -> str:
    version = next(
        line.split(":")[1].strip()
        for line in (HERE.parent / "galaxy.yml").read_text().splitlines()
        if line.startswith("version:")
    )
    asked = ["git", "-c", "safe.directory=*", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version} ({commit})" if commit else version


def peer() -> str:
    collection = Path(os.environ.get("LEASEHOLD_PEERS", "")) / "ansible_collections" / "community" / "hashi_vault"
    try:
        return str(json.loads((collection / "MANIFEST.json").read_text())["collection_info"]["version"])
    except OSError:
        return "not there"


def write(directory: Path, results: ground.Values) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.png"):
        old.unlink()
    (directory / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    # matplotlib lies in a directory of its own, so that it is not among what is measured.
    packages = {"PYTHONPATH": os.environ.get("LEASEHOLD_PLOTS", "")}
    subprocess.run([sys.executable, str(HERE / "plots.py"), str(directory)], env=os.environ | packages, check=False)
    plots = sorted(path.name for path in directory.glob("*.png"))
    (directory / "results.md").write_text(report.markdown(results, plots))


if __name__ == "__main__":
    sys.exit(main())
