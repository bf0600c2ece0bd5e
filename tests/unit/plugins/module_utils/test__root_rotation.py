# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations import root_rotation
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import Identity

ROOT = Path(__file__).resolve().parents[4]
WANTED = {"mount": "database", "name": "db", "password": "bootstrap", "rotate": "once"}
HELD = {
    "plugin_name": "postgresql-database-plugin",
    "allowed_roles": ["app"],
    "connection_details": {"connection_url": "postgresql://x", "username": "admin", "max_open_connections": 9},
}
PROBE = "database/config/leasehold-probe-db"
VAULT = Identity("vault", (1, 20, 0))


def noted(current, when):
    return {**current, "connection_details": {**current["connection_details"], root_rotation.ROTATED_AT: when}}


class Client:
    """Answers probes in the order given: True and False are the database's word, anything else is raised."""

    url = "https://vault"
    identity = Identity("openbao", (2, 7, 2))

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc)

    def __init__(self, *probes, current=None, rotation=None, locked_out=False):
        self.probes, self.current, self.rotation, self.calls = list(probes), current or HELD, rotation, []
        self.locked_out = locked_out  # Vault, until it is given a password

    def read(self, path):
        return self.current

    def write(self, path, body):
        self.calls.append(("write", path, body))
        if path == PROBE:
            given = self.probes.pop(0)
            if given is False:
                raise VaultError("no", 400, "FATAL: password authentication failed (SQLSTATE 28P01)")
            if given is not True:
                raise given
        elif self.locked_out and "password" not in body:
            raise VaultError("locked out", 400, "FATAL: password authentication failed (SQLSTATE 28P01)")

    def delete(self, path):
        self.calls.append(("delete", path))

    def ask(self, method, path, kind="repeat"):
        self.calls.append((method, path, kind))
        if path == "database/reset/db":
            if self.locked_out:
                raise VaultError("locked out", 500, "FATAL: password authentication failed (SQLSTATE 28P01)")
        elif self.rotation:
            raise self.rotation

    @property
    def rotations(self):
        return [call for call in self.calls if call[0] == "put"]

    def probe_is_gone(self):
        probed = [call[:2] for call in self.calls if call[1] == PROBE]
        return not probed or probed[-1] == ("delete", PROBE)


def rotate(client, check_mode=False, **more):
    return root_rotation.rotate_root(Session(client, False, []), {**WANTED, **more}, check_mode)


def test_probe_accepted_then_refused_means_rotated():
    client = Client(True, False)
    assert rotate(client)["rotated"] is True
    assert client.rotations == [("put", "database/rotate-root/db", "rotate")]
    assert client.probe_is_gone()


def test_the_probe_is_the_connection_with_the_bootstrap_password_for_nobody():
    client = Client(False)
    rotate(client, assume_rotated=True)
    probe = next(body for method, path, *body in client.calls if (method, path) == ("write", PROBE))[0]
    assert probe == {
        **HELD["connection_details"],
        "plugin_name": "postgresql-database-plugin",
        "password": "bootstrap",
        "allowed_roles": [],
        "verify_connection": True,
    }


def test_refused_probe_means_already_rotated():
    client = Client(False, current=noted(HELD, "2026-01-31T12:00:00Z"))
    assert rotate(client)["rotated"] is False
    assert client.rotations == []
    assert client.probe_is_gone()


def test_recorded_rotation_refused_to_vault_is_lost():
    client = Client(False, current=noted(HELD, "2026-01-31T12:00:00Z"), locked_out=True)
    with pytest.raises(Problem, match="one of the two servers was restored") as caught:
        rotate(client)
    assert caught.value.result == {"lost": True}
    assert client.rotations == []


@pytest.mark.parametrize(
    "trouble",
    [
        VaultError("too many", 400, "FATAL: too many connections (SQLSTATE 53300)"),
        VaultError("PgBouncer", 400, "FATAL: query_wait_timeout (SQLSTATE 08P01)"),
        VaultError("no role", 400, "FATAL: role is not permitted to log in (SQLSTATE 28000)"),
        VaultError("refused", 400, "dial error: connect: connection refused"),
        VaultError("tls", 400, "tls error: server refused TLS connection"),
        VaultError("Vault did not answer"),
        VaultError("sealed", 503, "Vault is sealed"),
    ],
    ids=str,
)
def test_unclear_probe_rotates_nothing(trouble):
    client = Client(trouble)
    with pytest.raises(Problem, match=rf"^It is unknown .* nothing was rotated.*{trouble}"):
        rotate(client)
    assert client.rotations == []
    assert client.probe_is_gone()


@pytest.mark.parametrize("after", [True, False])
def test_without_an_answer_the_database_is_asked_whether_it_was_rotated(after):
    client = Client(True, after, False, rotation=VaultError("Vault did not answer"))
    if after:
        with pytest.raises(Problem, match=r"^Nothing was rotated.* did not answer"):
            rotate(client)
    else:
        assert rotate(client)["rotated"] is True
    assert len(client.rotations) == 1
    assert client.probe_is_gone()


def test_refused_rotation_shows_server_error():
    client = Client(True, True, rotation=VaultError("no", 500, "failed to update user (SQLSTATE 42501)"))
    with pytest.raises(Problem, match=r"^Nothing was rotated, and the bootstrap password still works\. no$"):
        rotate(client)
    assert client.probe_is_gone()


def test_failed_answer_of_completed_rotation_is_rotated():
    result = rotate(Client(True, False, False, rotation=VaultError("Vault answered 500", 500, "conn closed")))
    assert result["rotated"] is True
    assert result["warnings"] == ["The root password is rotated, although Vault answered: Vault answered 500"]


def test_a_database_that_cannot_be_asked_afterwards_is_unknown_and_the_cure_is_another_run():
    client = Client(True, VaultError("refused", 400, "connection refused"), rotation=VaultError("no", 500, "EOF"))
    with pytest.raises(Problem, match=r"^It is unknown .* so run this again when it can be tried\. refused$"):
        rotate(client)


@pytest.mark.parametrize("how", ["once", "always"])
def test_lost_password_is_reported(how):
    client = Client(True, False, rotation=VaultError("no", 500, "conn closed"), locked_out=True)
    with pytest.raises(
        Problem, match=r"^The database refuses the password that Vault holds .* As the DBA, give"
    ) as caught:
        rotate(client, rotate=how)
    assert caught.value.result == {"lost": True}


def test_lost_password_of_killed_run_is_reported_by_next_run():
    current = noted(HELD, "begun 2026-01-01T00:00:00Z")
    with pytest.raises(Problem, match=r"^The database refuses the password that Vault holds") as caught:
        rotate(Client(False, current=current, locked_out=True))
    assert caught.value.result == {"lost": True}


@pytest.mark.parametrize("identity", [VAULT, Identity("vault"), Identity()], ids=str)
@pytest.mark.parametrize("how", ["once", "always"])
def test_rotation_cut_off_on_server_that_rolls_back_says_to_run_again(how, identity):
    client = Client(True, False)
    client.identity = identity

    def cut_off(*_what, **_more):
        client.locked_out = True
        raise VaultError("no", 500, "conn closed")

    client.ask = cut_off
    with pytest.raises(
        Problem, match=r"rolls such a rotation back by itself.* run this again in two minutes"
    ) as caught:
        rotate(client, rotate=how)
    assert "nobody knows" not in str(caught.value)
    assert caught.value.result == {"lost": True, "rollback_pending": True}


def test_rotation_is_not_claimed_where_it_may_be_rolled_back_and_login_of_vault_was_not_tried():
    client = Client(True, False, rotation=VaultError("no", 500, "conn closed"))
    client.identity, original = VAULT, client.write

    def refuse(path, body):
        if path != PROBE:
            raise Problem("not allowed")
        original(path, body)

    client.write = refuse
    with pytest.raises(Problem, match=r"unknown whether Vault can log in.* run this again") as caught:
        rotate(client)
    assert caught.value.result == {"rollback_pending": True}


@pytest.mark.parametrize(("age", "pending"), [(30, True), (3600, False)])
@pytest.mark.parametrize("how", ["once", "always"])
def test_next_run_waits_for_rollback_only_shortly_after_rotation_began(how, age, pending):
    begun = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    current = noted(HELD, f"begun {begun.isoformat(timespec='seconds')}")
    client = Client(False, current=current, locked_out=True)
    client.identity = VAULT
    with pytest.raises(Problem) as caught:
        rotate(client, rotate=how)
    assert caught.value.result == {"lost": True, **({"rollback_pending": True} if pending else {})}
    assert ("As the DBA" in str(caught.value)) is not pending
    assert client.rotations == []


def test_vault_is_given_the_password_that_opens_the_database_before_it_rotates_it():
    client = Client(True, False, locked_out=True)
    client.ask = lambda *_what, **_more: setattr(client, "locked_out", False)
    assert rotate(client)["rotated"] is True
    (begun,) = [
        body for what, path, *body in client.calls if what == "write" and path != PROBE and "password" in body[0]
    ]
    assert (begun[0]["password"], begun[0]["verify_connection"]) == ("bootstrap", True)


def test_trust_authentication_after_rotation_fails():
    with pytest.raises(Problem, match=r"still lets the bootstrap password in"):
        rotate(Client(True, True))


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("how", ["once", "always"])
def test_check_mode_only_reads(rotated, how):
    client = Client(current=noted(HELD, "2026-01-31T12:00:00Z") if rotated else HELD)
    result = rotate(client, check_mode=True, rotate=how)
    assert result["changed"] is not (rotated and how == "once")
    assert client.calls == []


def test_failed_record_of_rotation_warns():
    client = Client(True, False)
    original = client.write

    def refuse(path, body):
        if path != PROBE:
            raise Problem("not allowed")
        original(path, body)

    client.write = refuse
    result = rotate(client)
    assert result["rotated"] is True
    assert "could not be noted" in result["warnings"][0]


@pytest.mark.parametrize(
    ("how", "rotated"),
    [
        ({}, False),
        ({"assume_rotated": True}, True),
        ({"rotate": "always"}, True),
        ({"rotate": "always", "older_than": "30d"}, False),
    ],
    ids=str,
)
def test_nothing_is_rotated_without_the_right_to_note_what_the_next_run_needs(how, rotated):
    client = Client(True, False)
    original = client.write

    def refuse(path, body):
        if path != PROBE:
            raise Forbidden("needs the capability update")
        original(path, body)

    client.write = refuse
    if rotated:
        assert "could not be noted" in rotate(client, **how)["warnings"][0]
    else:
        with pytest.raises(Forbidden, match=r"^Nothing was rotated: .* needs the capability update$"):
            rotate(client, **how)
    assert bool(client.rotations) is rotated


def test_end_of_a_rotation_is_noted_although_its_begin_was_not():
    """Otherwise the next run would find a refused password that nobody is known to have rotated."""
    client = Client(True, False)
    original, failed = client.write, []

    def write(path, body):
        if path != PROBE and not failed:
            failed.append(body)
            raise VaultError("no", 500, "conn closed")
        original(path, body)

    client.write = write
    assert rotate(client)["warnings"] == []
    (written,) = [call[2] for call in client.calls if call[0] == "write" and call[1] != PROBE]
    assert not written[root_rotation.ROTATED_AT].startswith(root_rotation.BEGUN)


def test_the_note_is_not_part_of_the_probe():
    client = Client(False, current=noted(HELD, "x"))
    assert rotate(client) == {"changed": False, "rotated": False}
    assert root_rotation.ROTATED_AT not in str(client.calls)


# -- on a schedule ----------------------------------------------------------------------------------------------------------

DEFAULTS = yaml.safe_load((ROOT / "roles/lease_monitoring/defaults/main.yml").read_text())
DAY = 86400


class MovingClient(Client):
    """A server whose clock stands where it is put, and which keeps what is noted."""

    def __init__(self):
        super().__init__()
        self.moment = datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.timezone.utc)

    def now(self):
        return self.moment

    def write(self, path, body):
        self.current = noted(self.current, body[root_rotation.ROTATED_AT])


def nightly(client, age):
    """The timer's run at this age of the last rotation: as it is foreseen, and as it is done."""
    client.moment += datetime.timedelta(seconds=age)
    how = {"rotate": "always", "older_than": DEFAULTS["lease_monitoring_rotation_older_than"]}
    foreseen = rotate(client, check_mode=True, **how)
    before = len(client.rotations)
    done = rotate(client, **how)
    assert foreseen["rotated"] == done["rotated"] == (len(client.rotations) > before)
    return done["rotated"]


def test_root_password_is_rotated_in_the_second_in_which_it_is_due_and_not_before():
    client = MovingClient()
    assert nightly(client, 0), "nobody has noted a rotation"
    assert not nightly(client, 30 * DAY - 1)
    assert nightly(client, 1)
    assert not nightly(client, 0)


def test_alert_of_a_late_rotation_waits_for_the_last_night_in_which_it_could_be_done():
    """The window moves a run by two hours at the most: what was rotated at its end is not due yet at the beginning of that of the thirtieth night."""
    client, window = MovingClient(), 2 * 3600
    assert DEFAULTS["lease_monitoring_rotation_window"] == "2h"
    nightly(client, 0)
    ages = [night * DAY - window for night in range(1, 40)]
    rotated_at = next(age for before, age in zip([0, *ages], ages) if nightly(client, age - before))
    assert rotated_at == 31 * DAY - window
    late, last = DEFAULTS["lease_monitoring_rotation_late"], 31 * DAY + window
    assert last < late <= last + DAY, "it fires when that night has failed, and not before"
