# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications of one document, from nothing to a login that can read its credentials and nothing else, and away again.

The tests follow each other. Every run is at `-vvv --diff`, and none may print a secret id or a token.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import sys
import typing as t
import urllib.error

import pytest
import servers
import yaml
from cluster import Cluster

from .conftest import ROOT, FirstRuns, Ground, Play, as_yaml, interpreter, leaks

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run

HOUR = 3600
ISSUE = "Issue a secret id, unless the one there is still good"
UNWRAP = "Unwrap it on the host"


class Applications(Ground):
    """A ground with roles, a cluster, and the document about who may use them."""

    def __init__(self, bao: servers.OpenBao, server: servers.PostgreSQL, play: Play, cluster: Cluster) -> None:
        super().__init__(bao, server, "access")
        self.play, self.cluster = play, cluster
        self.role("app-role", "1h", "24h")
        self.role("app-role-2", "1h", "24h")
        self.user("access_reports")
        self.write("static-roles/reports", {"db_name": "db", "username": "access_reports", "rotation_period": "24h"})
        self.home = play.directory / "of the application"
        kubernetes = {
            "type": "kubernetes", "mount": "access-kubernetes", "kubernetes_host": cluster.url,
            "kubernetes_ca_cert": cluster.ca_cert, "token_reviewer_jwt": cluster.reviewer,
        }  # fmt: skip
        self.document: dict[str, t.Any] = {
            "vault_database_mount": self.mount,
            "vault_auth_mounts": [{"type": "approle", "mount": "access-approle"}, kubernetes],
            "vault_applications": [{
                "name": "Billing", "roles": ["app-role"], "static_roles": ["reports"],
                "auth": {
                    "approle": {
                        "mount": "access-approle", "secret_id_ttl": "30d",
                        "role_id_file": str(self.home / "role_id"), "secret_id_file": str(self.home / "secret_id"),
                    },
                    "kubernetes": {"mount": "access-kubernetes", "service_accounts": ["billing"], "namespaces": ["production"]},
                },
                "limits": {"logins": {"rate": 100, "interval": "1m"}, "credentials": {"rate": 50, "interval": "1m"}},
                "deliver": {"hosts": ["app_servers"]},
                "manifests": {
                    "kinds": ["agent_injector", "external_secrets", "secrets_operator"], "directory": str(play.directory),
                },
            }],
        }  # fmt: skip
        play.secrets += [bao.token, cluster.reviewer]
        hosts = {"hosts": {"localhost": None}, "children": {"app_servers": {"hosts": {"billing1": None}}}}
        everywhere = {"ansible_connection": "local", "ansible_python_interpreter": interpreter()}
        self.inventory = play.write("inventory.yml", as_yaml({"all": {**hosts, "vars": everywhere}}))
        play.inventory = []

    @property
    def entry(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.document["vault_applications"][0])

    def run(self, *arguments: str, playbook: str = "app", check: bool = False, ok: bool = True) -> Run:
        path = self.play.write("document.yml", as_yaml(self.document))
        run = self.play(
            f"leasehold.vault.{playbook}",
            "-i",
            self.inventory,
            "-e",
            f"@{path}",
            "-vvv",
            "--diff",
            *arguments,
            check=check,
            ok=ok,
        )
        assert run.ok == ok, run.output
        return run

    def file(self, name: str) -> str:
        return (self.home / name).read_text()

    def ask(
        self, token: str, method: str, path: str, body: dict[str, t.Any] | None = None
    ) -> tuple[int, dict[str, t.Any]]:
        try:
            return 200, self.bao.request(method, path, body, token=token)
        except urllib.error.HTTPError as error:
            return error.code, {}

    def log_in(self) -> str:
        """As the application does, with what lies on its host."""
        login = {"role_id": self.file("role_id"), "secret_id": self.file("secret_id")}
        answer = self.bao.request("POST", "auth/access-approle/login", login, token="")
        return str(answer["auth"]["client_token"])

    def is_good(self, accessor: str) -> bool:
        path = "auth/access-approle/role/billing/secret-id-accessor/lookup"
        return bool(self.ask(self.bao.token, "POST", path, {"secret_id_accessor": accessor})[1].get("data"))

    def remove(self) -> None:
        for mount in ("access-approle", "access-kubernetes"):
            self.bao.request("DELETE", f"sys/auth/{mount}")
        super().remove()


@pytest.fixture(scope="module")
def applications(
    bao: servers.OpenBao, postgres: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Applications]:
    with Cluster() as cluster:
        ground = Applications(bao, postgres, Play(tmp_path_factory.mktemp("access"), bao), cluster)
        yield ground
        ground.remove()


@pytest.fixture(scope="module")
def runs(applications: Applications) -> FirstRuns:
    predicted = applications.run(check=True)
    touched = applications.home.exists() or "access-approle/" in applications.bao.request("GET", "sys/auth")["data"]
    return FirstRuns(predicted, touched, applications.run(), applications.run())


# ------------------------------------------------------------------------------------------------------------ the first runs


def test_a_check_run_predicts_and_touches_nothing(runs: FirstRuns) -> None:
    assert not runs.touched
    changed = runs.predicted.changed
    assert "Manage the policies of the applications (Billing)" in changed
    assert "Manage the auth roles of the applications (Billing (kubernetes))" in changed
    assert ISSUE in changed


def test_first_run_creates_and_later_runs_are_unchanged(runs: FirstRuns) -> None:
    assert UNWRAP in runs.first.changed
    assert runs.again.changed == []


def test_logins_and_reads_of_credentials_are_limited(applications: Applications, runs: FirstRuns) -> None:
    def limited(name: str) -> tuple[str, str, float]:
        quota = applications.bao.request("GET", f"sys/quotas/rate-limit/Billing-{name}")["data"]
        return quota["path"], quota["role"], quota["rate"]

    assert limited("logins-approle") == ("auth/access-approle/", "billing", 100)
    assert limited("logins-kubernetes") == ("auth/access-kubernetes/", "Billing", 100)
    assert limited("credentials-app-role") == (f"{applications.mount}/creds/app-role", "", 50)


def test_delivered_ids_are_readable_by_owner_only(applications: Applications, runs: FirstRuns) -> None:
    for name in ("role_id", "secret_id", "secret_id_accessor"):
        current = (applications.home / name).stat()
        assert (stat.S_IMODE(current.st_mode), current.st_uid) == (0o600, os.geteuid())
    assert sorted(path.name for path in applications.home.iterdir()) == ["role_id", "secret_id", "secret_id_accessor"]
    assert applications.is_good(applications.file("secret_id_accessor"))


def test_secret_id_is_wrapped_and_never_printed(applications: Applications, runs: FirstRuns) -> None:
    for run in runs:
        if not isinstance(run, bool):
            assert not leaks(run.output, [applications.file("secret_id")])
    asked = applications.asked_text(0)
    issued = [json.loads(line) for line in asked.splitlines() if '"auth/access-approle/role/billing/secret-id"' in line]
    assert [one["request"]["wrap_ttl"] for one in issued if one["type"] == "request"] == [120]
    assert '"sys/wrapping/unwrap"' in asked


# ------------------------------------------------------------------------------------------------- what the login is good for

# A letter stands for a lease: of the application itself, of another application's role, of a role with a longer name.
TABLE = [
    (200, "GET", "access/creds/app-role", None),
    (200, "GET", "access/static-creds/reports", None),
    (403, "GET", "access/creds/app-role-2", None),
    (403, "GET", "access/static-creds/other", None),
    (403, "GET", "access/creds/APP-ROLE", None),
    (403, "POST", "access/creds/app-role", {}),
    (403, "GET", "access/roles/app-role", None),
    (403, "POST", "access/roles/app-role", {"max_ttl": "9999h"}),
    (403, "DELETE", "access/roles/app-role", None),
    (403, "LIST", "access/roles", None),
    (403, "GET", "access/config/db", None),
    (403, "LIST", "access/config", None),
    (403, "POST", "access/rotate-root/db", {}),
    (403, "POST", "access/rotate-role/reports", {}),
    (403, "GET", "access/static-roles/reports", None),
    (200, "PUT", "sys/leases/lookup", {"lease_id": "OWN"}),
    (200, "PUT", "sys/leases/renew", {"lease_id": "OWN", "increment": 3600}),
    (200, "PUT", "sys/leases/renew/OWN", {}),
    (403, "PUT", "sys/leases/lookup", {"lease_id": "OTHERS"}),
    (403, "PUT", "sys/leases/renew", {"lease_id": "OTHERS"}),
    (403, "PUT", "sys/leases/renew/OTHERS", {}),
    (403, "PUT", "sys/leases/revoke", {"lease_id": "OTHERS"}),
    (403, "PUT", "sys/leases/revoke/OTHERS", {}),
    (403, "PUT", "sys/leases/revoke", {"lease_id": "OWN", "url_lease_id": "OTHERS"}),
    (403, "PUT", "sys/leases/revoke-prefix/access/creds/app-role", {}),
    (403, "PUT", "sys/leases/revoke-force/access/creds/app-role", {}),
    (403, "LIST", "sys/leases/lookup/access/creds/app-role", None),
    (403, "GET", "sys/policies/acl/billing", None),
    (403, "POST", "sys/policies/acl/billing", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
    (403, "GET", "sys/auth", None),
    (403, "GET", "sys/mounts", None),
    (403, "GET", "auth/access-approle/role/billing", None),
    (403, "POST", "auth/access-approle/role/billing", {"token_policies": ["default"]}),
    (403, "POST", "auth/access-approle/role/billing/secret-id", {}),
    (403, "LIST", "auth/access-approle/role/billing/secret-id", None),
    (403, "POST", "auth/token/create", {}),
    (403, "POST", "auth/token/create-orphan", {}),
    (403, "LIST", "auth/token/accessors", None),
    (403, "GET", "cubbyhole/anything", None),
    (403, "POST", "sys/wrapping/wrap", {"any": "thing"}),
    (403, "GET", "identity/entity/id", None),
    (403, "PUT", "sys/seal", {}),
    (200, "GET", "auth/token/lookup-self", None),
    (200, "POST", "auth/token/renew-self", {}),
    (200, "PUT", "sys/leases/revoke", {"lease_id": "OWN", "sync": True}),
]


@pytest.fixture(scope="module")
def token(applications: Applications, runs: FirstRuns) -> str:
    return applications.log_in()


@pytest.fixture(scope="module")
def leases(applications: Applications, token: str) -> dict[str, str]:
    own = applications.ask(token, "GET", "access/creds/app-role")[1]["lease_id"]
    return {"OWN": own, "OTHERS": applications.issue("app-role-2")["lease_id"]}


@pytest.mark.parametrize(
    ("expected", "method", "path", "body"),
    TABLE,
    ids=[f"{row[1]} {row[2]} {row[3] or ''} -> {row[0]}" for row in TABLE],
)
def test_the_login_may_do_this_and_nothing_else(
    applications: Applications, token: str, leases: dict[str, str], expected: int, method: str, path: str, body: t.Any
) -> None:
    for word, lease in leases.items():
        path = path.replace(word, lease)
        body = {key: lease if value == word else value for key, value in body.items()} if body is not None else None
    assert applications.ask(token, method, path, body)[0] == expected


@pytest.mark.full
def test_credentials_work_until_token_ends(applications: Applications, runs: FirstRuns) -> None:
    token = applications.log_in()
    user = applications.ask(token, "GET", "access/creds/app-role")[1]["data"]
    assert applications.opens(user["username"], user["password"])
    assert applications.ask(token, "POST", "auth/token/revoke-self", {})[0] == 200
    assert not applications.opens(user["username"], user["password"])


def test_token_period_exceeds_longest_lease(applications: Applications, token: str) -> None:
    current = applications.ask(token, "GET", "auth/token/lookup-self")[1]["data"]
    assert current["period"] == 25 * HOUR
    assert current["policies"] == ["billing"]
    assert current["meta"]["host"] == "billing1"


def program(applications: Applications, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line client, as people and agents use it."""
    environment = {**os.environ, **applications.bao.environment, "VAULT_TOKEN": token}
    return subprocess.run(
        [servers.program().path, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_the_usual_program_can_renew_and_revoke_with_it(applications: Applications, token: str) -> None:
    """It names the lease in the path when it revokes."""
    lease = applications.ask(token, "GET", "access/creds/app-role")[1]["lease_id"]
    for words in (["lease", "renew", lease], ["lease", "revoke", "-sync", lease], ["token", "renew"]):
        done = program(applications, token, *words)
        assert done.returncode == 0, done.stderr
    assert lease not in applications.leases("app-role")


def test_only_pods_of_service_account_log_in(applications: Applications, runs: FirstRuns) -> None:
    def login(namespace: str, account: str) -> tuple[int, dict[str, t.Any]]:
        body = {"role": "Billing", "jwt": applications.cluster.token(namespace, account)}
        return applications.ask("", "POST", "auth/access-kubernetes/login", body)

    code, answer = login("production", "billing")
    assert code == 200
    token = answer["auth"]["client_token"]
    assert applications.ask(token, "GET", "access/creds/app-role")[0] == 200
    assert applications.ask(token, "GET", "access/creds/app-role-2")[0] == 403
    assert login("staging", "billing")[0] == login("production", "shop")[0] == 403


def test_the_manifests_are_files_for_other_tools(applications: Applications, runs: FirstRuns) -> None:
    kinds = {"agent-injector": ["Deployment"], "external-secrets": ["VaultDynamicSecret", "ExternalSecret"] * 2,
             "secrets-operator": ["VaultAuth", "VaultDynamicSecret", "VaultDynamicSecret"]}  # fmt: skip
    for kind, expected in kinds.items():
        text = (applications.play.directory / f"Billing-{kind}.yml").read_text()
        assert [document["kind"] for document in yaml.safe_load_all(text)] == expected
    assert applications.bao.url in (applications.play.directory / "Billing-external-secrets.yml").read_text()


# -------------------------------------------------------------------------------------------------------------- what goes on


@pytest.mark.full
def test_expired_secret_id_is_replaced(applications: Applications, runs: FirstRuns) -> None:
    before = applications.file("secret_id_accessor")
    path = "auth/access-approle/role/billing/secret-id-accessor/destroy"
    applications.bao.request("POST", path, {"secret_id_accessor": before})
    (applications.home / "role_id").chmod(0o644)
    run = applications.run()
    assert ISSUE in run.changed
    assert applications.file("secret_id_accessor") != before
    assert applications.log_in()
    assert stat.S_IMODE((applications.home / "role_id").stat().st_mode) == 0o600


@pytest.mark.full
def test_secret_id_expiring_too_soon_is_replaced_and_destroyed(applications: Applications, runs: FirstRuns) -> None:
    before = applications.file("secret_id_accessor")
    applications.entry["deliver"]["valid_for"] = "31d"
    applications.entry["auth"]["approle"]["secret_id_ttl"] = "60d"
    run = applications.run()
    assert applications.file("secret_id_accessor") != before
    assert not applications.is_good(before)
    assert "Destroy the replaced secret id" in run.changed
    assert applications.run().changed == []


# ------------------------------------------------------------------------------------- what runs on the host, and bad company


def unwrapped(applications: Applications, token: str, **more: str) -> str:
    """What the program that runs on the host says of this wrapping token; nothing may be written."""
    order = {
        "url": applications.bao.url, "ca_cert": str(applications.bao.ca_cert), "namespace": "", "token": token,
        "path": "auth/access-approle/role/Billing/secret-id", "secret_id": str(applications.home / "stolen"),
        "accessor": str(applications.home / "stolen_accessor"), "owner": pwd.getpwuid(os.geteuid()).pw_name, "group": "", **more,
    }  # fmt: skip
    files = (
        ROOT / "plugins" / "module_utils" / "_core" / "safe_files.py",
        ROOT / "roles" / "app_access" / "files" / "unwrap.py",
    )
    code = "\n\n".join(file.read_text() for file in files)
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert token not in done.stderr
    assert not (applications.home / "stolen").exists()
    return done.stderr


def wrapping_token(applications: Applications, role: str = "billing") -> str:
    path = f"auth/access-approle/role/{role}/secret-id"
    done = program(applications, applications.bao.token, "write", "-f", "-wrap-ttl=2m", "-field=wrapping_token", path)
    return done.stdout.strip()


def test_used_wrapping_token_stops_delivery(applications: Applications, runs: FirstRuns) -> None:
    token = wrapping_token(applications)
    applications.bao.request("POST", "sys/wrapping/unwrap", {"token": token})
    assert "used up or over" in unwrapped(applications, token)


def test_exchanged_wrapping_token_stops_delivery(applications: Applications, runs: FirstRuns) -> None:
    applications.bao.request("POST", "auth/access-approle/role/another", {})
    given = unwrapped(applications, wrapping_token(applications, "another"))
    assert "not for a secret id of this role but for auth/access-approle/role/another/secret-id" in given


def test_a_host_that_cannot_reach_vault_says_so(applications: Applications, runs: FirstRuns) -> None:
    token = wrapping_token(applications)
    assert "could not be asked from this host" in unwrapped(applications, token, url="https://127.0.0.1:9")
    assert "certificate" in unwrapped(applications, token, ca_cert="")


@pytest.mark.full
def test_error_of_host_is_shown(applications: Applications, runs: FirstRuns) -> None:
    (applications.home / "secret_id").unlink()
    run = applications.run("-e", "app_access_url=https://127.0.0.1:9", ok=False)
    assert (
        "billing1: Vault could not be asked from this host (https://127.0.0.1:9/v1/sys/wrapping/lookup)" in run.output
    )
    applications.run()
    assert applications.log_in()


@pytest.mark.full
def test_owner_that_the_host_does_not_have_is_named_before_a_secret_id_is_issued(
    applications: Applications, runs: FirstRuns
) -> None:
    before = applications.bao.request("LIST", "auth/access-approle/role/Billing/secret-id")["data"]["keys"]
    applications.entry["deliver"] |= {"owner": "no-such-user", "valid_for": "59d", "group": "no-such-group"}
    run = applications.run(ok=False)
    assert "billing1 does not have the user no-such-user and the group no-such-group" in run.output
    for word in ("owner", "valid_for", "group"):
        del applications.entry["deliver"][word]
    assert applications.bao.request("LIST", "auth/access-approle/role/Billing/secret-id")["data"]["keys"] == before


# --------------------------------------------------------------------------------------------------------------- and the end


@pytest.mark.full
def test_unknown_role_fails_before_any_write(applications: Applications, runs: FirstRuns) -> None:
    applications.entry["roles"] = ["app-rle"]
    assert "There is no role access/roles/app-rle" in applications.run(ok=False).output
    applications.entry["roles"] = ["app-role"]
    assert applications.log_in()


@pytest.mark.full
@pytest.mark.parametrize("how", ["absent", "teardown"])
def test_absent_application_is_removed_completely(applications: Applications, runs: FirstRuns, how: str) -> None:
    if how == "absent":
        applications.entry["state"] = "absent"
        applications.run()
        assert applications.run().changed == []
        del applications.entry["state"]
    else:
        applications.run()
        assert applications.log_in()
        applications.run("-e", f"leasehold_teardown={applications.mount}", playbook="teardown")
        assert f"{applications.mount}/" not in applications.bao.request("GET", "sys/mounts")["data"]
    assert list(applications.home.iterdir()) == []
    assert list(applications.play.directory.glob("Billing-*.yml")) == []
    quotas = [f"sys/quotas/rate-limit/Billing-{name}" for name in ("logins-approle", "credentials-app-role")]
    for path in (
        *quotas,
        "sys/policies/acl/billing",
        "auth/access-approle/role/billing",
        "auth/access-kubernetes/role/billing",
    ):
        assert applications.ask(applications.bao.token, "GET", path)[0] == 404
    login = {"role": "billing", "jwt": applications.cluster.token("production", "billing")}
    assert applications.ask("", "POST", "auth/access-kubernetes/login", login)[0] != 200


@pytest.mark.full
def test_site_without_applications_is_unchanged(applications: Applications) -> None:
    document = applications.document
    applications.document = {}
    run = applications.run("-e", "leasehold_url=https://127.0.0.1:9")
    applications.document = document
    assert run.changed == []
    assert {event["status"] for event in run.results} == {"skipped"}
