# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./demo` and `sandbox/bootstrap.sh` do before anything real begins: a checkout of its own, with stand-ins for Python and pip.

A stand-in answers as an interpreter of another version at another place, notes how it was called, makes a "venv" that is a copy of
itself, and installs nothing; everything else it hands on to the Python that runs the tests.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest
import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("demo", "sandbox/bootstrap.sh", "sandbox/demo.py", "sandbox/servers.py", "sandbox/fetched.py")
TOOLS = (
    "bash", "cat", "cp", "cut", "dirname", "env", "flock", "ln", "mkdir", "mv", "rm", "sh", "sha256sum", "sleep",
    "sort", "tail", "touch",
)  # fmt: skip

STAND_IN = """#!/bin/sh
case "$1 $2" in
"-c import ansible") exit ;;
"-c "*) exec {real} {pretend} "$2" ;;
esac
printf '%s %s; %s\\n' "$0" "$*" "$PIP_CACHE_DIR" >>{calls}
case "$1 $2" in
"-m venv")
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    ln -sf python "$3/bin/python3"
    ;;
"-m pip")
    echo "Collecting ansible-core"
    [ ! -e {slow} ] || sleep 1.5  # a second passes, and then some
    [ ! -e {offline} ] || exit 1
    for last in "$@"; do :; done
    [ "$3" != download ] || {{ mkdir -p "$last" && cp {wheel} "$last"; }}
    ;;
*) exec {real} "$@" ;;
esac
"""

PRETEND = """
import sys
sys.version_info = ({version}, "final", 0)
sys._base_executable = {path!r}
if not {venv}:
    sys.modules["ensurepip"] = None
exec(sys.argv[1])
"""


class Checkout:
    """Enough of a checkout for `./demo`, and a machine that has nothing but the interpreters it is given."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "checkout"
        self.tools = directory / "tools"
        self.calls_path = directory / "calls"
        self.offline = directory / "offline"
        self.slow = directory / "slow"
        self.cache = self.root / ".cache"
        self.sandbox = self.cache / "sandbox"
        self.path = [self.tools]
        self.environment = {"HOME": str(directory / "home"), "LC_ALL": "C.UTF-8"}
        for name in COPIED:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "requirements").mkdir()
        for lock in ("runtime", "collections"):
            (self.root / "requirements" / f"{lock}.txt").write_text("ansible-core==1\n")
        (self.root / "sandbox" / "stage.py").touch()
        self.tools.mkdir()
        for tool in TOOLS:
            (self.tools / tool).symlink_to(shutil.which(tool) or "/nonexistent")
        with zipfile.ZipFile(directory / "ansible-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("ansible_collections/community/postgresql/MANIFEST.json", "{}")

    def interpreter(self, name: str, version: str, *, venv: bool = True, under: str = "bin") -> Path:
        """A stand-in with this name, in a directory that is first in PATH (`under` pyenv it is not)."""
        path = self.directory / under / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pretend = path.with_name(f"{name}-{version}.pretend")
        numbers = ", ".join(version.split("."))
        pretend.write_text(PRETEND.format(version=numbers, path=str(path), venv=venv))
        path.write_text(
            STAND_IN.format(
                real=f"{sys._base_executable} -SE", pretend=pretend, calls=self.calls_path, slow=self.slow, offline=self.offline,
                wheel=self.directory / "ansible-1-py3-none-any.whl",
            )
        )  # fmt: skip
        path.chmod(0o755)
        if "versions" not in under and path.parent not in self.path:
            self.path.insert(0, path.parent)
        return path

    def shell(self, script: str, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        path = ":".join(map(str, self.path))
        return subprocess.run(
            [shutil.which("bash") or "bash", "-c", script], cwd=self.root, env={"PATH": path, **self.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, timeout=60,
        )  # fmt: skip

    def found(self) -> str:
        """The version of the interpreter that would make a venv."""
        done = self.shell('. sandbox/bootstrap.sh; find_python; echo "$VERSION"')
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def venv(self) -> str:
        """The name of the venv that comes out of it."""
        done = self.shell("set -euo pipefail; . sandbox/bootstrap.sh; bootstrap runtime; type -P python")
        assert done.returncode == 0, done.stderr
        place = Path(done.stdout.strip()).parents[1]
        assert place.parent == self.cache
        return place.name

    def venvs(self) -> set[str]:
        return {path.name for path in self.cache.glob("venv-*")}

    def calls(self, what: str) -> list[str]:
        text = self.calls_path.read_text() if self.calls_path.exists() else ""
        return [line for line in text.splitlines() if what in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def running(checkout: Checkout) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What `./demo up` leaves: two processes, and where they are written down."""
    checkout.sandbox.mkdir(parents=True)
    processes, record = [], {}
    for name in ("openbao", "postgresql"):
        directory = checkout.directory / name
        directory.mkdir()
        (directory / "token").write_text("a-token")
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)", directory])
        processes.append(process)
        record[name] = {"url": "https://127.0.0.1:1", "ca_cert": "ca.pem", "token_file": str(directory / "token"),
                        "pid": process.pid, "directory": str(directory)}  # fmt: skip
    (checkout.sandbox / "servers.json").write_text(json.dumps(record))
    for process in processes:  # is it this program already?
        servers.wait_for("a process", lambda process=process: servers.is_running(process.pid, checkout.directory))
    yield processes
    for process in processes:
        process.kill()
        process.wait()


# --------------------------------------------------------------------------------------------------------- ./demo env


def test_env_and_down_after_eval_keep_venv_and_path(checkout: Checkout, running: list[subprocess.Popen[bytes]]) -> None:
    checkout.interpreter("python3", "3.11.2")
    checkout.path.append(checkout.directory / "pyenv" / "shims")
    done = checkout.shell(
        """set -e
        before=$PATH
        ./demo env >first
        eval "$(cat first)"
        ./demo env >second
        ./demo down
        [ "${PATH#*:}" = "$before" ]
        [ "$VAULT_TOKEN" = a-token ]
        type -P python"""
    )

    assert done.returncode == 0, done.stderr
    assert "installing what requirements/runtime.txt pins" in done.stderr
    assert len(checkout.calls("-m pip install")) == 1
    (venv,) = checkout.venvs()
    assert done.stdout.splitlines()[-1] == str(checkout.cache / venv / "bin" / "python")
    assert [process.wait(30) is not None for process in running] == [True, True]
    first, second = ((checkout.root / name).read_text() for name in ("first", "second"))
    assert first == second
    assert [line for line in first.splitlines() if not line.startswith("export ")] == []


def test_env_without_servers_says_so(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    done = checkout.shell("./demo env")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "no servers are up: ./demo up starts them"


# ------------------------------------------------------------------------------------------------------ which Python


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"python3": "3.11.2", "python3.11": "3.11.2", "python3.12": "3.12.1", "python3.13": "3.13.0", "python3.14": "3.14.0"}, "3.13.0"),
        ({"python3": "3.11.2", "python3.12": "3.12.1", "python3.14": "3.14.0"}, "3.12.1"),
        ({"python3": "3.10.12", "python3.11": "3.11.2"}, "3.11.2"),
        ({"python3": "3.10.12", "python3.14": "3.14.0"}, "3.14.0"),
    ],
)  # fmt: skip
def test_newest_fully_supported_python_is_preferred(checkout: Checkout, there: dict[str, str], expected: str) -> None:
    for name, version in there.items():
        checkout.interpreter(name, version)

    assert checkout.found() == expected


def test_complete_venv_is_used_whatever_python_is_first_and_offline(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    first = checkout.venv()
    checkout.offline.touch()
    checkout.interpreter("python3.13", "3.13.0", under="other")
    checkout.interpreter("python3", "3.12.0", under="other")

    assert checkout.venv() == first
    assert checkout.venvs() == {first}
    assert len(checkout.calls("-m pip install")) == 1


def test_pyenv_shim_that_does_not_run_stands_for_installed_versions(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    shims = checkout.directory / "pyenv" / "shims"
    shims.mkdir(parents=True)
    (shims / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (shims / "python3.13").chmod(0o755)
    for version in ("3.13.2", "3.13.10"):
        checkout.interpreter("python3.13", version, under=f"pyenv/versions/{version}/bin")
    checkout.path.insert(0, shims)

    assert checkout.found() == "3.13.10"


def test_leasehold_python_gets_venv_of_its_own(checkout: Checkout) -> None:
    checkout.interpreter("python3.13", "3.13.0")
    checkout.interpreter("python3.11", "3.11.2")
    newest = checkout.venv()
    checkout.environment["LEASEHOLD_PYTHON"] = "python3.11"
    asked = checkout.venv()

    assert asked.startswith("venv-runtime-3.11.2-")
    assert checkout.venvs() == {newest, asked}


def test_leasehold_python_that_is_not_there_is_refused_by_name(checkout: Checkout) -> None:
    checkout.interpreter("python3.13", "3.13.0")
    checkout.environment["LEASEHOLD_PYTHON"] = "python3.12"
    done = checkout.shell("./demo env")

    assert (done.returncode, done.stdout, checkout.venvs()) == (1, "", set())
    assert "LEASEHOLD_PYTHON is python3.12); found none." in done.stderr


def test_only_python_310_says_what_was_found_and_what_to_install(checkout: Checkout) -> None:
    path = checkout.interpreter("python3", "3.10.12")
    done = checkout.shell("./demo up")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"found Python 3.10.12 ({path})." in done.stderr
    assert "Ubuntu 22.04: apt-get install python3.11-venv" in done.stderr


def test_python_without_venv_module_says_which_package_has_it(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.12.3", venv=False)
    done = checkout.shell("./demo up")

    assert done.returncode == 1
    assert "Python 3.12.3 without the venv module" in done.stderr
    assert "apt-get install python3.12-venv" in done.stderr


# ------------------------------------------------------------------------------------------------------ installation


def test_changed_lock_makes_venv_beside_the_one_in_use(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    first = checkout.venv()
    (checkout.root / "requirements" / "runtime.txt").write_text("ansible-core==2\n")
    second = checkout.venv()

    assert first != second
    assert checkout.venvs() == {first, second}
    assert (checkout.cache / first / "complete").exists()


def test_failed_installation_is_shown_and_begun_again(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    checkout.offline.touch()
    failed = checkout.shell("./demo up")
    checkout.offline.unlink()

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Collecting ansible-core\nerror: this failed: " in failed.stderr
    assert checkout.venv() in checkout.venvs()


@pytest.mark.parametrize(("cache", "expected"), [(None, ".cache/pip"), ("shared", "shared/pip"), ("/a/b", "/a/b/pip")])
def test_downloads_are_kept_in_leasehold_cache(checkout: Checkout, cache: str | None, expected: str) -> None:
    checkout.interpreter("python3", "3.11.2")
    if cache:
        checkout.environment["LEASEHOLD_CACHE"] = cache
    checkout.venv()

    asked = checkout.calls("-m pip")
    assert len(asked) == 2
    assert {line.rpartition("; ")[2] for line in asked} == {str(checkout.root / expected)}


def test_terminal_shows_progress_of_pip(checkout: Checkout) -> None:
    checkout.interpreter("python3", "3.11.2")
    checkout.slow.touch()
    master, slave = pty.openpty()
    try:
        checkout.shell("./demo env", stderr=slave)
        shown = os.read(master, 100_000).decode()
    finally:
        os.close(master)
        os.close(slave)

    assert "1 s: Collecting ansible-core" in shown


# ------------------------------------------------------------------------------------------------- servers that are up


def test_down_stops_servers_when_nothing_can_be_installed(
    checkout: Checkout, running: list[subprocess.Popen[bytes]]
) -> None:
    checkout.interpreter("python3", "3.10.12", venv=False)
    checkout.offline.touch()
    done = checkout.shell("./demo down")

    assert done.returncode == 0, done.stderr
    assert "are down" in done.stdout
    assert [process.wait(30) is not None for process in running] == [True, True]
    assert checkout.calls("-m ") == []
    assert not checkout.sandbox.exists()


def test_up_when_servers_are_up_leaves_them(checkout: Checkout, running: list[subprocess.Popen[bytes]]) -> None:
    checkout.interpreter("python3", "3.11.2")
    before = (checkout.sandbox / "servers.json").read_text()
    done = checkout.shell("./demo up")

    assert done.returncode == 0, done.stderr
    assert "up already" in done.stdout
    assert [process.poll() for process in running] == [None, None]
    assert (checkout.sandbox / "servers.json").read_text() == before


def test_up_when_one_server_has_ended_says_which(checkout: Checkout, running: list[subprocess.Popen[bytes]]) -> None:
    checkout.interpreter("python3", "3.11.2")
    running[1].kill()
    running[1].wait()
    done = checkout.shell("./demo up")

    assert (done.returncode, running[0].poll()) == (1, None)
    assert "postgresql of " in done.stderr
    assert "take them down first" in done.stderr


def test_play_while_servers_are_up_uses_servers_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import demo

    used = []

    def refuse(directory: Path) -> t.NoReturn:
        used.append(directory)
        raise servers.ServerError("no servers in this test")

    monkeypatch.setattr(demo, "WORK", tmp_path)
    monkeypatch.setattr(servers, "running", refuse)
    with pytest.raises(servers.ServerError):
        demo.play()

    assert used[0] != demo.DIRECTORY
    assert used[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []
