# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.drift import report

WRITTEN = '# Written by the role leasehold.vault.app_access for the application {}.\npath "database/creds/app" {{}}\n'
HELD = {
    "connections": {"connections": [{"name": "db"}]},
    "roles": {"roles": [{"name": "app"}]},
    "static_roles": {"static_roles": []},
    "policies": {"policies": [{"name": "shop", "policy": WRITTEN.format("Shop")}, {"name": "default", "policy": ""}]},
    "auth_mounts": {"auth_mounts": [{"mount": "approle", "type": "approle"}]},
    "auth_roles": [{"auth_roles": [{"mount": "approle", "name": "shop", "token_policies": ["shop"]}]}],
}
DOCUMENT = {
    "mount": "database",
    "databases": [{"name": "db", "roles": {"app": {}}}],
    "applications": [{"name": "Shop"}],
    "auth_roles": [{"mount": "approle", "name": "Shop"}],
}


def found(**more):
    return report({**DOCUMENT, "held": HELD, **more})


def test_what_the_document_has_is_no_difference():
    assert found() == {"differences": [], "lines": [], "differing": [], "unknown": []}


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"databases": []}, "connections/db"),
        ({"databases": [{"name": "db"}]}, "roles/app"),
        ({"applications": []}, "policies/shop"),
        ({"auth_roles": []}, "auth_roles/approle/shop"),
    ],
)
def test_what_the_document_does_not_have_is_named_with_the_way_out(more, label):
    answer = found(**more)
    assert label in answer["differing"]
    assert any(line.startswith(f"{label}: undeclared: ") for line in answer["lines"])


def test_policy_of_another_mount_or_of_others_is_none_of_ours():
    assert found(mount="other", applications=[], auth_roles=[])["lines"] == []


@pytest.mark.parametrize(
    "more",
    [
        {"held": {**HELD, "roles": {"msg": "Not allowed to list database/roles."}}},
        {"held": {**HELD, "policies": {"msg": "Not allowed to list sys/policies/acl."}}},
        {"held": {**HELD, "auth_roles": [{"item": {"mount": "approle"}, "msg": "Not allowed."}]}},
        {"failed": [{"part": "postgresql", "result": {"results": [{"failed": True, "msg": "Not allowed."}], "msg": "One or more items failed"}}]},
        {"health": [{"item": "db", "msg": "Not allowed."}]},
    ],
)  # fmt: skip
def test_what_could_not_be_looked_at_is_unknown_and_says_why(more):
    answer = found(**more)
    assert answer["differing"] == []
    assert len(answer["unknown"]) == 1
    assert "Not allowed" in answer["lines"][0]


def test_changes_of_postgresql_are_one_line_each():
    changes = [["app_rw: + created"], ["appdb: app_rw: + SELECT on tables in schema sales"]]
    answer = found(postgresql=[{"changes": each} for each in changes])  # one answer a host
    assert answer["differing"] == ["postgresql/app_rw", "postgresql/appdb"]
    assert answer["lines"][1].startswith("postgresql/appdb: app_rw: + SELECT on tables in schema sales (")


def test_what_postgresql_could_not_be_made_to_do_differs():
    obstacle = {"name": "template1", "detail": "- CONNECT of PUBLIC is not done: it belongs to provider"}
    answer = found(postgresql=[{"changes": [], "obstacles": [obstacle]}])
    assert answer["differing"] == ["postgresql/template1"]
    assert "it belongs to provider" in answer["lines"][0]


def test_objects_that_differ_are_one_line_each():
    objects = [
        {"kind": "roles", "name": name, "action": action}
        for name, action in (("b", "update"), ("a", "create"), ("c", "none"))
    ]
    item = {"mount": "approle", "name": "shop"}
    health = [
        {
            "differences": [
                {
                    "kind": "connections",
                    "name": "db",
                    "state": "differs",
                    "detail": "Vault cannot log in",
                    "cure": "site",
                }
            ]
        }
    ]
    answer = found(
        sync={"objects": objects},
        access={"auth_roles": [{"changed": True, "item": item}, {"changed": False}]},
        health=health,
    )
    assert answer["differing"] == ["auth_roles/approle/shop", "connections/db", "roles/a", "roles/b"]
    assert answer["lines"][1] == "connections/db: Vault cannot log in (site)"


def node(port, replica=True, started="1", **more):
    return {
        "name": "db",
        "host": "h",
        "port": port,
        "replica": replica,
        "started": started,
        "ended": 0,
        "problem": "",
        **more,
    }


@pytest.mark.parametrize(
    ("nodes", "lines"),
    [
        ([node(1, False, in_recovery=False), node(2, started="2", in_recovery=True)], []),
        # The first of several hosts is where the way to all of them leads.
        ([node("1,2", False, in_recovery=False), node(1, in_recovery=False)], []),
        ([node(1, False, in_recovery=True)], ["nodes/db at h:1: is a standby"]),
        (
            [node(1, False, in_recovery=None, started="", problem="it is away"), node(2, in_recovery=False)],
            [
                "nodes/db at h:1: unknown: it is not known whose sessions go on: it is away",
                "nodes/db at h:2: can be written to",
            ],
        ),
        (
            [node(1, False, in_recovery=False), node(2, started="2", in_recovery=True, ended=3)],
            ["sessions/db at h:2: 3 session(s)"],
        ),
    ],
)
def test_what_servers_are_is_compared_with_the_document(nodes, lines):
    answer = found(nodes=nodes)
    assert [line[: len(start)] for line, start in zip(answer["lines"], lines)] == lines
    assert len(answer["lines"]) == len(lines)
