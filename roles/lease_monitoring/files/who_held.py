# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read audit logs of Vault, line by line, and tell as JSON who held which database user, and what the logs do not say.

    who_held.py --log FILE [--log FILE.gz] [--at 14:05] ...   what these logs say
    who_held.py --finish < JSON                              the answer, once Vault has been asked for the hashes of its lease ids

The first prints {"held", "missing", "at"}, and of leases that the log has as hashes only "hashed", what happened to which, and "ask", the
lease ids of which the hash would tell more. The second reads that as "answer", with "hashes" (lease id: hash) or "problem", a sentence.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import gzip
import json
import re
import sys
import zlib
from pathlib import Path

HASH = "hmac-sha256:"
# Vault's default username template: what the name itself tells of its origin.
NAME = re.compile(r"v-(?P<login>.{0,8})-(?P<role>.{0,8})-\w{20}-(?P<time>\d{10})")
CREDENTIALS = re.compile(r"/(?:static-)?creds/[^/]+$")
LEASES = re.compile(r"sys/leases/(renew|revoke-prefix|revoke-force|revoke)(?:/(.+))?$")
# How an entry begins: servers order its keys differently, and a device may have a prefix.
OPENING = re.compile(rb'\{\s*"(?:auth|error|forwarded_from|request|response|time|type)"\s*:\s*["{].{0,3}')
REQUEST = b'"type":"request"'
MOST_HEADS = 4
MOST_HASHES = 1000  # one request each


def moment(text):
    """Seconds since the epoch; the log writes UTC, with nanoseconds. ValueError if it is none."""
    text = re.sub(r"\.\d+", "", text.strip().replace(" ", "T")).replace("Z", "+00:00")
    when = datetime.datetime.fromisoformat(text)
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


def job(auth):
    """Of a job that logged in by its platform's token: which, of which template, started by whom (as app_access maps the claims)."""
    known = auth.get("metadata") or {}
    return {word: known[word] for word in ("job", "job_template", "started_by") if known.get(word)}


def entry_of(line):
    """The entry in a line, its time, and where it begins and its first key ends; None if there is no whole entry."""
    for found in OPENING.finditer(line):
        try:
            entry = json.loads(line[found.start() :].decode("utf-8", "replace"))
            if entry.get("type") in ("request", "response"):
                return entry, moment(entry["time"]), found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return None


class Log:
    """What was issued and what ended, as far as the lines tell."""

    def __init__(self):
        self.held = []
        self.hashed = []
        """Of leases that the log has as hashes only: [hash, "renewed" or "ended", when]."""
        self.missing = []
        self.first = self.last = None
        self._by_lease, self._by_token = {}, {}

    def read(self, name):
        """Most lines are about other things, and parsing them would be most of the work: they need only look like those that were parsed."""
        opened = gzip.open if name.endswith(".gz") else functools.partial(open, buffering=1 << 18)
        heads, key, past, last = (), b"", 0, b""
        lines, read, unread = 0, False, 0
        try:
            with opened(name, "rb") as stream:
                for line in stream:
                    lines += 1
                    whole = line.startswith(heads) and line.endswith(b"}\n") and line.find(key, past) < 0
                    if whole:
                        last = line
                        if (
                            line.find(REQUEST, 0, 80) >= 0
                            or line.endswith(REQUEST + b"}\n")
                            or not (b"sys/leases/re" in line or b"auth/token/revoke" in line or b"creds/" in line)
                        ):
                            continue
                    found = entry_of(line)
                    if not found:
                        unread += not line.isspace()
                        continue
                    entry, when, match = found
                    read = True
                    self._entry(entry, when)
                    before = line[: match.start()]
                    if before and (OPENING.search(before) or b'"}' in before):  # the rest of another entry
                        unread += 1
                    elif not whole:
                        head, key, past = line[: match.end()], match[0], match.end()
                        heads = (head, *(one for one in heads if one != head))[:MOST_HEADS]
        except (EOFError, zlib.error):
            self.missing.append(f"{name} is cut off: what its end says is missing here.")
        if lines and not read:
            sys.exit(
                f"{Path(name).resolve()}: none of its {lines} line(s) is an entry of an audit log (JSON, with a time and a type)."
            )
        if end := entry_of(last):
            self._saw(end[1])
        if unread:
            self.missing.append(
                f"{unread} of {lines} line(s) of {name} could not be read (cut off, or no entries): what they say is missing here."
            )

    def _saw(self, when):
        self.first = when if self.first is None else min(self.first, when)
        self.last = when if self.last is None else max(self.last, when)

    def _entry(self, entry, when):
        self._saw(when)
        if entry["type"] == "response" and not entry.get("error"):
            self._response(when, entry.get("auth") or {}, entry.get("request") or {}, entry.get("response") or {})

    def _response(self, when, auth, request, response):
        path = request.get("path", "")
        given = request.get("data") or {}
        lease = (response.get("secret") or {}).get("lease_id")
        about = LEASES.match(path)
        if (
            CREDENTIALS.search(path)
            and request.get("operation") == "read"
            and request.get("mount_type", "database") == "database"
        ):
            self._issued(when, auth, request, response, lease)
        elif about and about[1] in ("revoke-prefix", "revoke-force"):
            prefix = (about[2] or "").rstrip("/") + "/"
            self._happened("ended", when, [lease for lease in self._by_lease if lease.startswith(prefix)])
        elif about:
            named = {given.get("lease_id"), given.get("url_lease_id"), about[2], lease} - {None, ""}
            self._happened("renewed" if about[1] == "renew" else "ended", when, named)
        elif path == "auth/token/revoke-self":
            self._end(when, self._by_token.get(auth.get("client_token"), ()))
        elif path.startswith("auth/token/revoke"):
            # The hash of a token, or of its accessor, is the same wherever it stands.
            self._end(when, self._by_token.get(given.get("token") or given.get("accessor"), ()))

    def _happened(self, what, when, leases):
        """A lease was renewed or ended; if the log knows it in clear, its hash beside it tells nothing more."""
        known = [self._by_lease[lease] for lease in leases if lease in self._by_lease]
        if what == "ended":
            self._end(when, known)
        for one in known:
            if what == "renewed":
                one["renewed"] = when
        if all(lease.startswith(HASH) for lease in leases):
            self.hashed.extend([lease, what, when] for lease in leases)

    def _issued(self, when, auth, request, response, lease):
        mount, _slash, role = request["path"].rpartition("creds/")
        one = {
            "application": application(auth), "login": auth.get("display_name") or "", "entity": auth.get("entity_id") or "", "job": job(auth),
            "from": request.get("remote_address") or "", "role": role, "kind": "static" if mount.endswith("static-") else "dynamic",
            "mount": (request.get("mount_point") or re.sub("static-$", "", mount)).rstrip("/"), "user": (response.get("data") or {}).get("username", "?"),
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


def is_user(one, users):
    """Whether it is the user of this name, or of this hash; without a hash, whether the parts and the second of a default name fit."""
    if one["user"] in users:
        return True
    parts = NAME.fullmatch(users[0])
    return bool(
        parts and len(users) == 1 and one["user"].startswith(HASH) and abs(one["issued"] - int(parts["time"])) <= 2
        and one["login"].startswith(parts["login"]) and one["role"].startswith(parts["role"])
    )  # fmt: skip


def was_held(one, at, longest):
    end = one["ended"] if one["ended"] is not None else (one["issued"] + longest if longest else at)
    return one["kind"] == "dynamic" and one["issued"] <= at <= end


def answer(log, options):
    missing = list(log.missing)
    if log.first is None:
        return {
            "held": [],
            "missing": [*missing, "There is no answer of a server in {}.".format(", ".join(options.log))],
            "ask": [],
        }
    at = None
    if options.at:
        day = written(log.last)[:11] if re.fullmatch(r"\d\d:\d\d(:\d\d)?Z?", options.at) else ""
        try:
            at = moment(day + options.at)
        except ValueError:
            sys.exit(f"{options.at!r} is no moment: write 14:05, or 2026-03-01T14:05:00Z, in UTC.")
        if not log.first <= at <= log.last:
            missing.append(
                f"The log goes from {written(log.first)} to {written(log.last)} and cannot tell all about {written(at)}."
            )
    users = [user for user in (options.user, options.user_hash) if user]
    chosen = [
        one for one in log.held
        if (at is None or was_held(one, at, options.max_ttl)) and (not users or is_user(one, users))
        and (not options.application or options.application in (one["application"], one["login"], one["entity"]))
        and (not options.role or options.role == one["role"])
    ]  # fmt: skip
    if any(one["user"].startswith(HASH) for one in (chosen or log.held)):
        missing.append(
            "The log has user names as hashes only. To have them in clear from now on, give the mount audit_non_hmac_response_keys: [username] "
            "(leasehold.vault.database_engine). Here, a user is found by its hash (POST sys/audit-hash/DEVICE with the name as input), or by the "
            "role and the second in its name."
        )
    if at is not None and not options.max_ttl:
        missing.append(
            "Without the longest life of a lease (max_ttl), whatever was issued before and not seen to end may have been held."
        )
    times = ("issued", "renewed", "ended")
    open_ends = [one for one in chosen if one["lease_id"] and one["ended"] is None]
    since = min((one["issued"] for one in open_ends), default=float("inf"))
    hashed = [[lease, what, written(when)] for lease, what, when in log.hashed if when >= since]
    return {
        "held": [
            {**one, **{time: written(one[time]) if one[time] is not None else None for time in times}} for one in chosen
        ],
        "missing": missing,
        "at": None if at is None else written(at),
        "hashed": hashed,
        "ask": [one["lease_id"] for one in open_ends][:MOST_HASHES] if hashed else [],
    }


def finish(hashed):
    """What the log has of leases as hashes only belongs to those whose hash Vault told."""
    answer, leases = hashed["answer"], {digest: lease for lease, digest in hashed.get("hashes", {}).items()}
    ones = {one["lease_id"]: one for one in answer["held"] if one["lease_id"]}
    for digest, what, when in answer.get("hashed", ()):  # in the order of time
        if digest in leases:
            one = ones[leases[digest]]
            one[what] = (one["ended"] or when) if what == "ended" else when
    at = answer.get("at")
    held = [one for one in answer["held"] if not at or not one["ended"] or one["ended"] >= at]
    missing = answer["missing"]
    if answer["ask"] and len(leases) < len(set(answer["ask"])):
        ends = sum(what == "ended" for _lease, what, _when in answer["hashed"])
        missing.append(
            f"{ends} revocation(s) name their lease as a hash only: a lease without an end may have ended earlier than it could have at most. "
            + (
                hashed.get("problem")
                or f"Vault is asked for the hashes of {MOST_HASHES} leases at the most: ask about fewer."
            )
        )
    return {"held": held, "missing": missing}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finish", action="store_true")
    parser.add_argument("--log", action="append", default=[])
    parser.add_argument("--max-ttl", action="append", type=seconds, default=[])
    for name in ("at", "user", "user-hash", "application", "role"):
        parser.add_argument("--" + name, default="")
    options = parser.parse_args()
    if options.finish:
        print(json.dumps(finish(json.load(sys.stdin))))
        return
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
