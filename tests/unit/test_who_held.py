# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of audit logs in the role `lease_monitoring`: whatever the order of keys, and whatever is broken."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib

import pytest

from .conftest import ROOT

PROGRAM = ROOT / "roles" / "lease_monitoring" / "files" / "who_held.py"
HASHED = "hmac-sha256:" + 64 * "a"


def entry(time, path, kind="response", **more):
    """What a server writes of one request or its answer."""
    request = {
        "id": "1",
        "operation": "read",
        "mount_type": "database",
        "mount_point": "database/",
        "path": path,
        **more,
    }
    auth = {"accessor": "hmac-sha256:b", "client_token": "hmac-sha256:c", "metadata": {"role_name": "shop"}}
    one = {"time": f"2026-03-01T{time}.123456789Z", "type": kind, "auth": auth, "request": request}
    if kind == "response":
        secret = {"secret": {"lease_id": f"{path}/{time}"}} if "/creds/" in path else {}
        one["response"] = {"data": {"username": f"v-{time}"}, "mount_type": "database", **secret}
    return one


def revocation(time, lease):
    return entry(time, "sys/leases/revoke", operation="update", mount_type="system", data={"lease_id": lease})


LOG = [
    entry("14:00:00", "secret/other", kind="request"),
    entry("14:00:00", "secret/other"),
    entry("14:01:00", "database/creds/app", kind="request"),
    entry("14:01:00", "database/creds/app"),
    entry("14:10:00", "auth/token/revoke-self", mount_type="token", operation="update"),
    entry("14:11:00", "database/creds/app"),
    entry("14:20:00", "secret/other"),
]
HELD = [("shop", "v-14:01:00", "2026-03-01T14:10:00Z"), ("shop", "v-14:11:00", None)]


def compact(one):
    return json.dumps(one, separators=(",", ":"))


def ordered(one):
    return json.dumps(one, separators=(",", ":"), sort_keys=True)


def spaced(one):
    return json.dumps(one)


def shuffled(one):
    return json.dumps({key: one[key] for key in sorted(one, key=lambda key: zlib.crc32((key + one["time"]).encode()))})


def prefixed(one):
    return "vault{1}: " + ordered(one)


def stamped(one):
    return f"<13>{one['time']} vault1 vault[7]: " + compact(one)


@pytest.fixture
def ask(tmp_path):
    def ask(content, *question, name="audit.log", ok=True):
        content = content if isinstance(content, bytes) else content.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        done = subprocess.run(
            [sys.executable, PROGRAM, f"--log={path}", *question], capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == ok, done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if ok else done.stderr

    return ask


def finish(answer, hashes, problem=""):
    result = json.dumps({"answer": answer, "hashes": hashes, "problem": problem})
    done = subprocess.run(
        [sys.executable, PROGRAM, "--finish"], input=result, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def lines(write, entries=None):
    return "".join(write(one) + "\n" for one in entries or LOG)


def findings(answer):
    return [(one["application"], one["user"], one["ended"]) for one in answer["held"]]


@pytest.mark.parametrize("write", [compact, ordered, spaced, shuffled, prefixed, stamped])
def test_order_of_keys_blanks_and_prefix_do_not_matter(ask, write):
    answer = ask(lines(write))
    assert findings(answer) == HELD
    assert not [one for one in answer["missing"] if "could not be read" in one]
    assert findings(ask(lines(write), "--at=14:05")) == HELD[:1]
    assert "cannot tell all about" in " ".join(ask(lines(write), "--at=14:30")["missing"])


def test_line_ends_of_windows_and_none_at_end_are_read(ask):
    assert findings(ask(lines(ordered).replace("\n", "\r\n"))) == HELD
    assert findings(ask(lines(ordered).rstrip("\n"))) == HELD


@pytest.mark.parametrize("write", [compact, ordered, prefixed])
@pytest.mark.parametrize("cut", [15, 0.3, 0.6, 0.9, -1])
def test_lines_that_are_cut_off_are_counted(ask, write, cut):
    whole = [write(one) for one in LOG]
    first, last = (int(cut * len(line)) if isinstance(cut, float) else cut for line in (whole[0], whole[-1]))
    text = "\n".join([whole[0][first:], *whole[1:-1], whole[-1][:last]])
    answer = ask(text)
    assert findings(answer) == HELD
    assert any("2 of 7 line(s)" in one for one in answer["missing"]), answer["missing"]


@pytest.mark.parametrize("write", [compact, ordered, prefixed])
def test_entry_after_one_that_was_never_finished_is_read_and_other_is_counted(ask, write):
    whole = [write(one) for one in LOG]
    for number in range(len(LOG) - 1):
        glued = [*whole[:number], whole[number][:90] + whole[number + 1], *whole[number + 2 :]]
        answer = ask("\n".join(glued) + "\n")
        expected = [one for one, at in zip(HELD, (3, 5)) if at != number]
        if number != 4:  # that one is the end of the first
            assert findings(answer) == expected, number
        assert any("1 of 6 line(s)" in one for one in answer["missing"]), (number, answer["missing"])


@pytest.mark.parametrize(
    "text", ["<json:object name='auth'>\n</json:object>\n", '{"level":"info","time":"14:00"}\n', "\0\1\2\n"]
)
def test_log_of_which_nothing_is_understood_fails(ask, text):
    assert "none of its" in ask(text, ok=False)


def test_empty_log_is_said_to_be_empty(ask):
    assert "There is no answer of a server" in ask("")["missing"][0]


def test_compressed_log_that_is_cut_off_is_read_as_far_as_it_goes(ask, tmp_path):
    many = lines(ordered, LOG * 500)
    assert len(findings(ask(many, name="audit.log.gz"))) == 1000
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(many.encode())[:-200])
    done = subprocess.run([sys.executable, PROGRAM, f"--log={path}"], capture_output=True, text=True, check=True)
    assert 0 < len(findings(json.loads(done.stdout))) < 1000
    assert "is cut off" in json.loads(done.stdout)["missing"][0]


def test_end_that_is_logged_as_hash_is_found_once_hash_is_known(ask):
    answer = ask(lines(ordered, [*LOG, revocation("14:25:00", HASHED), revocation("14:26:00", "hmac-sha256:other")]))
    lease = "database/creds/app/14:11:00"
    assert answer["ask"] == [lease]
    assert findings(finish(answer, {lease: HASHED})) == [HELD[0], ("shop", "v-14:11:00", "2026-03-01T14:25:00Z")]
    assert "hash only" not in " ".join(finish(answer, {lease: HASHED})["missing"])
    unknown = finish(answer, {}, "Vault is away.")
    assert findings(unknown) == HELD
    assert unknown["missing"][-1].startswith("2 revocation(s) name their lease as a hash only")
    assert unknown["missing"][-1].endswith("Vault is away.")


def test_first_end_of_a_user_is_its_end(ask):
    again = entry("14:25:00", "auth/token/revoke-self", mount_type="token", operation="update")
    assert findings(ask(lines(compact, [*LOG, again]))) == [HELD[0], ("shop", "v-14:11:00", "2026-03-01T14:25:00Z")]


def test_user_whose_lease_ended_before_by_its_hash_is_not_held(ask):
    log = lines(ordered, [*LOG, revocation("14:25:00", HASHED), entry("14:50:00", "secret/other")])
    answer = ask(log, "--at=14:40")
    assert findings(answer) == HELD[1:]
    assert finish(answer, {"database/creds/app/14:11:00": HASHED})["held"] == []


def test_user_is_found_by_hash_and_not_by_name_alone_then(ask):
    log = [*(entry(time, "database/creds/app") for time in ("14:11:00", "14:11:01", "14:12:00")), LOG[-1]]
    for number, one in enumerate(log[:3]):
        one["response"]["data"]["username"] = f"hmac-sha256:{number}"
        one["auth"]["display_name"] = "approle"
    name = "--user=v-approle-app-" + 20 * "x" + "-1772374261"
    assert len(ask(lines(compact, log), name)["held"]) == 2, "the one of a minute later is another"
    assert [one["user"] for one in ask(lines(compact, log), name, "--user-hash=hmac-sha256:1")["held"]] == [
        "hmac-sha256:1"
    ]


def test_job_that_held_a_user_is_named_with_who_started_it(ask):
    one = entry("14:01:00", "database/creds/app")
    one["auth"]["metadata"] = {
        "role": "deploy",
        "job": "42",
        "job_template": "Deploy",
        "started_by": "alice",
        "other": "x",
    }
    (found,) = ask(compact(one) + "\n")["held"]
    assert found["application"] == "deploy"
    assert found["job"] == {"job": "42", "job_template": "Deploy", "started_by": "alice"}
