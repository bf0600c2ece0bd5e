# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus and promtool: those of the machine, else Debian's, fetched without the right to install anything.

python tests/support/prometheus.py where               # the directory of the programs
python tests/support/prometheus.py ask CONFIG QUERY    # run one with this configuration until it can answer, and say what
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "sandbox"))

import fetched
from servers import HOST, Server, ServerError, free_port, wait_for

if t.TYPE_CHECKING:
    from collections.abc import Sequence

Values = dict[str, t.Any]


def programs() -> Path:
    """The directory of `prometheus` and `promtool`."""
    found = shutil.which("prometheus")
    return Path(found).parent if found and shutil.which("promtool") else fetched.debian("prometheus") / "usr" / "bin"


class Prometheus(Server):
    """A Prometheus that runs with a configuration of others; `reload()` makes it read the files again."""

    name = "prometheus"
    gentle = signal.SIGTERM
    hard = signal.SIGKILL

    def __init__(self, config: Path) -> None:
        super().__init__()
        self.config = config
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        pass

    def command(self) -> Sequence[str | Path]:
        return [
            programs() / "prometheus", f"--config.file={self.config}", f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={HOST}:{self.port}", "--log.level=warn",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/-/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def reload(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGHUP)

    def ask(self, path: str, **parameters: str) -> t.Any:
        """The `data` of an answer of its API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an expression is now: labels and value of each series."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]

    def firing(self) -> dict[str, Values]:
        """The alerts that fire, by name."""
        alerts = self.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"}


def ask(config: Path, query: str) -> None:
    with Prometheus(config) as server:
        wait_for(f"an answer to {query}", lambda: bool(server.query(query)))
        print(json.dumps({"answer": server.query(query), "firing": sorted(server.firing())}))


def main() -> int:
    parser = argparse.ArgumentParser(description="Find Prometheus, or ask one.")
    parser.add_argument("action", choices=["where", "ask"])
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("query", nargs="?", default="up")
    arguments = parser.parse_args()
    try:
        if arguments.action == "where":
            print(programs())
        else:
            ask(arguments.config, arguments.query)
    except (fetched.FetchError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
