# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read audit logs of Vault, line by line, and tell as JSON who held which database user, and what the logs do not say."""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import re
import sys
from pathlib import Path

HASH = "hmac-sha256:"
# Vault's default username template: what the name itself tells of its origin.
NAME = re.compile(r"v-(?P<login>.{0,8})-(?P<role>.{0,8})-\w{20}-(?P<time>\d{10})")
CREDENTIALS = re.compile(r"/(?:static-)?creds/[^/]+$")


def moment(text):
    """Seconds since the epoch; the log writes UTC, with nanoseconds."""
    given = text
    text = re.sub(r"\.\d+", "", text.strip().replace(" ", "T")).replace("Z", "+00:00")
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        sys.exit(f"{given!r} is no moment: write 14:05, or 2026-03-01T14:05:00Z, in UTC.")
    return (when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)).timestamp()


def seconds(text):
    """3600, 90m, 1h30m, 2d."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if not re.fullmatch(r"\d+|(\d+[smhd])+", text):
        sys.exit(f"{text!r} is no duration: write 3600, 90m, 24h or 2d.")
    parts = re.findall(r"(\d+)([smhd])", text) or [(text, "s")]
    return sum(int(number) * units[unit] for number, unit in parts)


def written(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def application(auth):
    """What Vault knows of whoever logged in, best first."""
    known = auth.get("metadata") or {}
    if "service_account_name" in known:
        return "{}/{}".format(known.get("service_account_namespace", "?"), known["service_account_name"])
    return known.get("role_name") or known.get("username") or known.get("role") or auth.get("display_name") or "?"


class Log:
    """What was issued and what ended, as far as the lines tell."""

    def __init__(self):
        self.held, self.unknown_ends = [], 0
        self.first, self.last = "", ""
        self._by_lease, self._by_token = {}, {}

    def read(self, name):
        opened = gzip.open if name.endswith(".gz") else open
        with opened(name, "rt", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith('{"time":"') and '"type":"response"' in line[:80]:
                    self._line(line)

    def _line(self, line):
        time = line[9:28]  # to the second, in UTC: can be compared as it is
        self.first, self.last = min(self.first or time, time), max(self.last, time)
        # Most lines are about other things, and parsing them would be most of the work.
        if "creds/" in line or "/revoke" in line or "/renew" in line:
            entry = json.loads(line)
            if not entry.get("error"):
                self._response(moment(time), entry.get("auth") or {}, entry["request"], entry.get("response") or {})

    def _response(self, when, auth, request, response):
        path = request["path"]
        lease = (response.get("secret") or {}).get("lease_id")
        asked = (request.get("data") or {}).get("lease_id") or ""
        if request.get("mount_type") == "database" and CREDENTIALS.search(path) and request["operation"] == "read":
            self._issued(when, auth, request, response, lease)
        elif path.startswith("sys/leases/renew") and lease in self._by_lease:
            self._by_lease[lease]["renewed"] = when
        elif path.startswith("sys/leases/revoke-"):  # prefix, force
            prefix = path.split("/", 3)[3].rstrip("/") + "/"
            self._end(when, [one for lease, one in self._by_lease.items() if lease.startswith(prefix)])
        elif path.startswith("sys/leases/revoke") and asked.startswith(HASH):
            self.unknown_ends += 1
        elif path.startswith("sys/leases/revoke"):
            self._end(
                when,
                [self._by_lease[one] for one in (asked, path[len("sys/leases/revoke/") :]) if one in self._by_lease],
            )
        elif path == "auth/token/revoke-self":
            self._end(when, self._by_token.get(auth.get("client_token"), ()))
        elif path.startswith(
            "auth/token/revoke"
        ):  # the hash of a token, or of its accessor, is the same wherever it stands
            given = request.get("data") or {}
            self._end(when, self._by_token.get(given.get("token") or given.get("accessor"), ()))

    def _issued(self, when, auth, request, response, lease):
        mount, _slash, role = request["path"].rpartition("creds/")
        one = {
            "application": application(auth), "login": auth.get("display_name") or "", "entity": auth.get("entity_id") or "",
            "from": request.get("remote_address") or "", "role": role, "kind": "static" if mount.endswith("static-") else "dynamic",
            "mount": request.get("mount_point", "").rstrip("/"), "user": (response.get("data") or {}).get("username", "?"),
            "lease_id": lease or "", "issued": when, "renewed": None, "ended": None,
        }  # fmt: skip
        self.held.append(one)
        if lease:  # a static role has none
            self._by_lease[lease] = one
            for known in (auth.get("client_token"), auth.get("accessor")):
                self._by_token.setdefault(known, []).append(one)

    @staticmethod
    def _end(when, ones):
        for one in ones:
            one["ended"] = one["ended"] or when


def is_user(one, user):
    """Whether it is this user: the log says so (True), the name says so (its parts and its second), or not (False)."""
    if one["user"] == user:
        return True
    parts = NAME.fullmatch(user)
    return bool(
        parts and one["user"].startswith(HASH) and abs(one["issued"] - int(parts["time"])) <= 2
        and one["login"].startswith(parts["login"]) and one["role"].startswith(parts["role"])
    )  # fmt: skip


def was_held(one, at, longest):
    end = one["ended"] if one["ended"] is not None else (one["issued"] + longest if longest else at)
    return one["kind"] == "dynamic" and one["issued"] <= at <= end


def answer(log, options):
    missing = []
    if not log.first:
        return {"held": [], "missing": ["There is no answer of a server in {}.".format(", ".join(options.log))]}
    at = None
    if options.at:
        day = log.last[:11] if re.fullmatch(r"\d\d:\d\d(:\d\d)?Z?", options.at) else ""
        at = moment(day + options.at)
        if not moment(log.first) <= at <= moment(log.last):
            missing.append(f"The log goes from {log.first}Z to {log.last}Z and cannot tell all about {written(at)}.")
    chosen = [
        one for one in log.held
        if (at is None or was_held(one, at, options.max_ttl)) and (not options.user or is_user(one, options.user))
        and (not options.application or options.application in (one["application"], one["login"], one["entity"]))
        and (not options.role or options.role == one["role"])
    ]  # fmt: skip
    if any(one["user"].startswith(HASH) for one in (chosen or log.held)):
        missing.append(
            "The log has user names as hashes only. To have them in clear from now on, give the mount audit_non_hmac_response_keys: [username] "
            "(leasehold.vault.database_engine). Here, a user is found by the role and the second in its name, or by its hash "
            "(vault write sys/audit-hash/DEVICE input=NAME)."
        )
    if log.unknown_ends:
        missing.append(
            f"{log.unknown_ends} revocation(s) name their lease as a hash only: a lease without an end may have ended earlier than it "
            "could have at most."
        )
    if at is not None and not options.max_ttl:
        missing.append(
            "Without the longest life of a lease (max_ttl), whatever was issued before and not seen to end may have been held."
        )
    times = ("issued", "renewed", "ended")
    return {
        "held": [{**one, **{time: written(one[time]) if one[time] else None for time in times}} for one in chosen],
        "missing": missing,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", action="append", required=True)
    parser.add_argument("--max-ttl", action="append", type=seconds, default=[])
    for name in ("at", "user", "application", "role"):
        parser.add_argument("--" + name, default="")
    options = parser.parse_args()
    options.max_ttl = max(options.max_ttl, default=0)
    log = Log()
    for name in options.log:
        try:
            log.read(name)
        except OSError as error:
            sys.exit(f"Cannot read {Path(name).resolve()}: {error.strerror or error}.")
    print(json.dumps(answer(log, options)))


if __name__ == "__main__":
    main()
