# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agent.sh asks and removes at each moment of the unit's life, with a program that only notes what it is asked.

`test_vault_agent.py` runs the same with a real agent, most of it in the full run only.
"""

from __future__ import annotations

import getpass
import stat
import subprocess
import typing as t

import pytest

from .conftest import Play, as_yaml

if t.TYPE_CHECKING:
    from pathlib import Path

    import servers

    from .conftest import Run

NOTES = """#!/bin/sh
here=$(dirname "$0")
echo "$VAULT_TOKEN $*" >>"$here/asked"
[ ! -e "$here/refusal" ] || { cat "$here/refusal" >&2; exit 2; }
cat "$here/answer"
"""


class Agent:
    """One application: its script, and the program that stands for `bao`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.etc, self.run = directory / "etc" / name, directory / "run" / f"vault-agent-{name}"
        self.unit = directory / "units" / f"vault-agent-{name}.service"
        self.program, self.file = directory / "program", directory / name / "database.env"

    def __call__(self, what: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.program / "asked").unlink(missing_ok=True)
        path = "/usr/local/bin:/usr/bin:/bin"
        return subprocess.run(
            ["/bin/sh", self.etc / "agent.sh", what],
            env={"PATH": path, **environment}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def asked(self) -> list[str]:
        """What the program was asked last time: the token, and the words."""
        asked = self.program / "asked"
        return asked.read_text().splitlines() if asked.exists() else []

    def refuse(self, error: str) -> None:
        (self.program / "refusal").write_text(error)

    def answer(self, text: str) -> None:
        (self.program / "answer").write_text(text)

    def issue(self, number: int) -> None:
        """As the agent does: a token, a lease (or when a static role was rotated), a file."""
        (self.run / "leases").mkdir(exist_ok=True)
        (self.run / "token").write_text(f"token-{number}")
        (self.run / "leases" / ("reports" if self.etc.name == "fixed" else "app-role")).write_text(f"lease-{number}")
        self.file.write_text("user")


class Written(t.NamedTuple):
    """All agents, written by one run."""

    directory: Path
    play: Play
    document: dict[str, t.Any]

    def run(self, ok: bool = True, **more: t.Any) -> Run:
        path = self.play.write("document.yml", as_yaml(self.document | more))
        return self.play("leasehold.vault.agent", "-e", f"@{path}", "-e", "leasehold_agent_hosts=localhost", ok=ok)


@pytest.fixture(scope="module")
def written(bao: servers.OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Written:
    directory = tmp_path_factory.mktemp("agents")
    for name in ("etc", "run", "units", "program"):
        (directory / name).mkdir()
    program = directory / "program" / "bao"
    program.write_text(NOTES)
    program.chmod(0o755)

    def application(name: str, login: dict[str, t.Any]) -> dict[str, t.Any]:
        file = {"path": str(directory / name / "database.env"), "format": "env", "owner": getpass.getuser()}
        return {
            "name": name, "static_roles" if name == "fixed" else "roles": ["reports" if name == "fixed" else "app-role"],
            "agent": {"user": getpass.getuser(), "login": login, "files": [file], "reload": ["/usr/bin/test", "-e", str(directory / "program" / "reloads")]},
        }  # fmt: skip

    document = {
        "vault_agent_binary": str(program), "vault_agent_service": False, "vault_agent_start_timeout": 2,
        "vault_agent_directory": str(directory / "etc"), "vault_agent_runtime_directory": str(directory / "run"),
        "vault_agent_unit_directory": str(directory / "units"),
        "vault_databases": [{"name": "db", "host": "db", "database": "app", "roles": {"app-role": {}}, "static_roles": {"reports": {}}}],
        "vault_applications": [
            application("own", {"approle": {}}),
            application("given", {"token_file": {"path": "/nowhere/token"}}),
            application("fixed", {"approle": {}}),
        ],
    }  # fmt: skip
    written = Written(directory, Play(directory, bao), document)
    written.run()
    return written


@pytest.fixture(params=["own", "given"])
def agent(request: pytest.FixtureRequest, written: Written) -> Agent:
    """A started agent that has issued its first user."""
    agent = Agent(written.directory, request.param)
    for name in ("refusal", "reloads"):
        (agent.program / name).unlink(missing_ok=True)
    agent.answer("100")
    subprocess.run(["/bin/rm", "-rf", *agent.run.iterdir()], check=True)
    assert agent("prepare").returncode == 0
    agent.issue(1)
    assert agent("ready").returncode == 0
    return agent


own = pytest.mark.parametrize("agent", ["own"], indirect=True)


def ending(agent: Agent, number: int) -> list[str]:
    """How this agent ends what it has issued: with its token, or, where that is somebody else's, lease by lease."""
    if agent.etc.name == "own":
        return [f"token-{number} token revoke -self"]
    return [f"token-{number} write sys/leases/revoke lease_id=lease-{number}"]


def test_agent_end_revokes_and_leaves_nothing(agent: Agent) -> None:
    assert agent("ended", SERVICE_RESULT="success").returncode == 0
    assert agent.asked() == ending(agent, 1)
    assert list(agent.run.iterdir()) == []
    assert not agent.file.exists()


def test_agent_end_after_hand_over_leaves_all_to_the_next(agent: Agent) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        assert agent("hand-over", MAINPID=str(process.pid)).returncode == 0
        assert process.wait(10) != 0, "the old agent ends"
    assert agent("ended", SERVICE_RESULT="success").returncode == 0
    assert agent.asked() == []
    assert agent.file.exists()

    assert agent("prepare").returncode == 0
    agent.issue(2)
    assert agent("ready").returncode == 0
    assert agent.asked() == ["token-2 lease renew lease-2", *ending(agent, 1)], (
        "what went before ends when the new is there"
    )
    assert list((agent.run / "retired").iterdir()) == []
    assert (agent.run / "token").read_text() == "token-2"


def test_agent_crash_keeps_what_works(agent: Agent) -> None:
    assert agent("ended", SERVICE_RESULT="signal").returncode == 0
    assert agent.asked() == []
    assert agent.file.exists()
    (agent.run / "leases" / "app-role").unlink()
    assert agent("ended", SERVICE_RESULT="signal").returncode == 0
    assert agent.asked() == ([] if agent.etc.name == "given" else ending(agent, 1)), (
        "a login that was of no use is revoked"
    )
    assert not (agent.run / "token").exists()


def test_agent_that_may_not_renew_is_refused(agent: Agent) -> None:
    agent.refuse("Code: 403. Errors: permission denied")
    done = agent("ready")
    assert done.returncode == 1
    assert "may not renew leases" in done.stderr
    (agent.program / "refusal").unlink()
    assert agent("ended", SERVICE_RESULT="exit-code").returncode == 0
    assert agent.asked() == ending(agent, 1), "it is not kept for the next one, which would be refused too"
    assert list(agent.run.iterdir()) == []


def test_agent_without_credentials_fails_in_time(agent: Agent) -> None:
    (agent.run / "token").unlink()
    done = agent("ready")
    assert done.returncode == 1
    assert "no credentials after 2 s" in done.stderr


def test_agent_end_that_fails_is_reported_and_leaves_no_file(agent: Agent) -> None:
    agent.refuse("no route to host")
    done = agent("ended", SERVICE_RESULT="success")
    assert done.returncode == 1
    assert "could not be revoked; it ends by itself" in done.stderr
    assert "no route to host" in done.stderr
    assert not agent.file.exists()


@own
def test_agent_with_batch_token_ends_its_leases(agent: Agent) -> None:
    agent.refuse("batch tokens cannot be revoked")
    agent("ended", SERVICE_RESULT="success")
    assert agent.asked() == [*ending(agent, 1), "token-1 write sys/leases/revoke lease_id=lease-1"]


def test_agent_health_of_dead_and_living_credentials(agent: Agent) -> None:
    assert agent("health").returncode == 0
    assert agent.asked() == ["token-1 write -field=ttl sys/leases/lookup lease_id=lease-1"]
    agent.refuse("invalid lease")
    done = agent("health")
    assert done.returncode == 1
    assert "the credentials of app-role are dead: invalid lease" in done.stderr


@own
@pytest.mark.parametrize("left", ["0", "-5", ""])
def test_agent_health_of_lease_with_nothing_left(agent: Agent, left: str) -> None:
    agent.answer(left)
    assert "the credentials of app-role are dead" in agent("health").stderr


@pytest.mark.parametrize("agent", ["fixed"], indirect=True)
def test_agent_health_of_static_role_knows_the_last_rotation(agent: Agent) -> None:
    agent.answer("lease-1")
    assert agent("health").returncode == 0
    assert agent.asked() == ["token-1 read -field=last_vault_rotation database/static-creds/reports"]
    agent.answer("lease-2")
    assert "the password of reports is not the current one: lease-2" in agent("health").stderr


@own
def test_agent_reload_that_fails_is_told_by_health_until_one_succeeds(agent: Agent) -> None:
    assert agent("reload").returncode == 0, "an agent whose command fails would start over"
    assert "could not be told of its new credentials: exit code 1" in agent("health").stderr
    (agent.program / "reloads").touch()
    assert agent("reload").returncode == 0
    assert agent("health").returncode == 0


def test_agent_files_are_for_their_owner_only(agent: Agent) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (agent.run, *agent.run.iterdir())}
    assert {modes[agent.run.name], modes["leases"], modes["retired"]} == {0o700}
    assert modes["files"] == 0o600


def test_agent_configuration_keeps_no_password_and_hides_the_token(agent: Agent) -> None:
    """The lines that nothing else would miss until somebody reads another one's file."""
    configuration = " ".join((agent.etc / "agent.hcl").read_text().split())
    assert f'path = "{agent.run}/token" mode = 0600' in configuration
    assert f'perms = "0600" user = "{getpass.getuser()}" backup = false' in configuration
    assert configuration.count("error_on_missing_key = true") == configuration.count("template {") == 2
    lines = agent.unit.read_text().splitlines()
    for when, what in {"StartPre": "prepare", "StartPost": "ready", "Reload": "hand-over", "StopPost": "ended"}.items():
        assert f'Exec{when}=/bin/sh "{agent.etc}/agent.sh" {what}' in lines


def test_agent_whose_program_is_not_there_is_refused(written: Written) -> None:
    run = written.run(ok=False, vault_agent_binary="/opt/nowhere/bao")
    assert "There is no program /opt/nowhere/bao" in " ".join(run.output.split())
    assert run.changes == 0


def test_agent_that_is_absent_leaves_nothing_behind(written: Written) -> None:
    """The last one here: it removes what all others use."""
    gone = [{**one, "agent": {"state": "absent"}} for one in written.document["vault_applications"]]
    assert written.run(vault_applications=gone).changes > 0
    left = [path.name for place in ("etc", "units") for path in (written.directory / place).iterdir()]
    assert left == []
    assert written.run(vault_applications=gone).changes == 0
