# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import MountMissing, NotConverged, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    duration,
    fact,
    names,
    number,
    secret,
    switch,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    SENT,
    Diagnostic,
    Field,
    ReconcileOptions,
    Resource,
    carry_out,
    plan,
    reconcile,
)

THING = Resource(
    kind="thing",
    path="things/{name}",
    identity=(Field("name", normalize=name),),
    fields=(
        text("colour", default="grey"),
        text("nested", read=("details", "nested")),
        number("size"),
        duration("ttl"),
        names("friends"),
        secret("password"),
        switch("verify"),
        text("origin", initial="here", immutable=True),
        text("owner", resend=True),
        fact("age", normalize=int),
    ),
    leases=lambda server, desired: [f"leases/{desired['name']}"],
)
WANTED = {"name": "one", "colour": "red", "password": "secret", "verify": True, "ttl": "1h", "friends": ["b", "a"]}


class Toy:
    """A server that keeps what it is given, as Vault does: writes merge, secrets are not shown."""

    def __init__(self, current=None, deaf=False):
        self.current, self.deaf, self.calls, self.live = current, deaf, [], {}

    def read(self, path):
        return self.current

    def write(self, path, body):
        self.calls.append(("write", path, body))
        if not self.deaf:
            shown = {k: v for k, v in body.items() if k not in ("password", "verify", "nested")}
            details = {"details": {"nested": body["nested"]}} if "nested" in body else {}
            self.current = {**(self.current or {}), **shown, **details}

    def delete(self, path):
        self.calls.append(("delete", path))
        self.current = None

    def leases(self, prefix):
        return self.live.get(prefix, [])

    def revoke_prefix(self, prefix):
        self.calls.append(("revoke", prefix))


def planned(desired, answer, **reconcile_options):
    return plan(THING, {"name": "one", **desired}, answer, ReconcileOptions(**reconcile_options))


# -- plan ------------------------------------------------------------------------------------------------------------------


def test_create_sends_given_and_initial_values():
    step = planned(WANTED, None)
    assert step.action == "create"
    assert step.before == {}
    assert step.after == {"colour": "red", "password": SENT, "ttl": 3600, "friends": ["a", "b"], "origin": "here"}
    assert step.body == {**step.after, "password": "secret", "verify": True}


def test_given_value_wins_over_initial():
    assert planned({"origin": "there"}, None).body == {"origin": "there"}


def test_no_options_is_no_change():
    assert planned({}, {"colour": "red"}).action == "none"
    assert planned({"colour": None, "friends": None}, {"colour": "red"}).action == "none"


def test_an_object_that_is_empty_on_the_server_is_still_there():
    assert planned({}, {}).action == "none"
    assert planned({}, {}, state="absent").action == "delete"


@pytest.mark.parametrize(
    ("desired", "answer"),
    [
        ({"colour": "grey"}, {}),
        ({"ttl": "90m"}, {"ttl": 5400}),
        ({"ttl": 0}, {}),
        ({"friends": "b,a"}, {"friends": ["a", "b"]}),
        ({"friends": []}, {}),
        ({"size": "7"}, {"size": 7}),
        ({"size": 7}, {"size": "7"}),
        ({"nested": "x"}, {"details": {"nested": "x"}}),
        ({"password": "secret"}, {}),
        ({"verify": False}, {}),
        ({"owner": "me"}, {"owner": "me"}),
    ],
)
def test_equivalent_values_are_no_change(desired, answer):
    step = planned(desired, answer)
    assert step.action == "none"
    assert step.before == step.after
    assert step.body == {}


def test_update_sends_differences_and_resend_fields():
    step = planned({**WANTED, "owner": "me"}, {"colour": "blue", "ttl": 3600, "friends": ["a", "b"], "owner": "me"})
    assert step.action == "update"
    assert step.body == {"colour": "red", "verify": True, "owner": "me"}
    assert {k for k in step.after if step.before.get(k) != step.after[k]} == {"colour"}


def test_resend_field_not_given_keeps_current_value():
    step = planned({"colour": "red"}, {"colour": "blue", "owner": "me"})
    assert step.body == {"colour": "red", "owner": "me"}
    assert planned({}, {"owner": "me"}).action == "none"


def test_compare_by_limits_comparison_and_diff():
    shouted = dataclasses.replace(THING, fields=(text("colour", compare_by=str.lower),))
    desired = {"name": "one", "colour": "Red"}
    assert plan(shouted, desired, {"colour": "RED"}, ReconcileOptions()).action == "none"
    step = plan(shouted, desired, {"colour": "Blue"}, ReconcileOptions())
    assert step.body == {"colour": "Red"}
    assert [shouted.in_diff(side) for side in (step.before, step.after)] == [{"colour": "blue"}, {"colour": "red"}]


def test_value_that_cannot_be_normalized_is_shown_unchanged():
    step = planned({"ttl": "1h"}, {"ttl": "forever"})
    assert step.before["ttl"] == "forever"
    assert step.body == {"ttl": 3600}


def test_option_not_given_is_kept():
    step = planned({"colour": "red"}, {"colour": "blue", "ttl": 60})
    assert step.after["ttl"] == 60
    assert "ttl" not in step.body


def test_empty_value_clears_field():
    assert planned({"friends": []}, {"friends": ["a"]}).body == {"friends": []}
    assert planned({"colour": ""}, {"colour": "red"}).body == {"colour": ""}


def test_secret_is_sent_on_create_or_with_always():
    assert planned({"password": "x"}, None).body["password"] == "x"
    assert planned({"password": "x"}, {}).action == "none"
    always = planned({"password": "x"}, {}, secrets="always")
    assert always.action == "update"
    assert always.body == {"password": "x"}
    assert always.after["password"] == SENT


def test_missing_secret_is_sent_again():
    signed = dataclasses.replace(THING, fields=(secret("password", presence_flag=("details", "has_password")),))

    def action(answer):
        return plan(signed, {"name": "one", "password": "x"}, answer, ReconcileOptions()).action

    assert action({"details": {"has_password": False}}) == "update"
    assert action({"details": {"has_password": True}}) == "none"
    assert action({}) == "none", "a server that says nothing is not asked twice"


def test_secret_is_never_shown():
    for answer, secrets in itertools.product((None, {}), ("on_create", "always")):
        step = planned({"password": "hush"}, answer, secrets=secrets)
        assert "hush" not in str((step.before, step.after))


def test_immutable_field_change_is_refused():
    with pytest.raises(Refused, match=r"origin of thing things/one is 'here' and cannot become 'there'"):
        planned({"origin": "there"}, {"origin": "here"})
    assert planned({"origin": "here"}, {"origin": "here"}).action == "none"


def test_absent_object_with_state_absent_is_no_change():
    assert planned({}, None, state="absent").action == "none"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_invalid_value_is_refused_naming_option(state):
    with pytest.raises(Refused, match="name: 'a/b' cannot be a name"):
        reconcile(Toy(), THING, {"name": "a/b"}, ReconcileOptions(state=state))
    with pytest.raises(Refused, match="ttl: 'soon' is not a duration"):
        planned({"ttl": "soon"}, None)


def test_plan_does_not_modify_its_arguments():
    desired, answer = {**WANTED}, {"colour": "blue", "friends": ["b", "a"]}
    planned(desired, answer)
    assert (desired, answer) == ({**WANTED}, {"colour": "blue", "friends": ["b", "a"]})


# -- reconcile -------------------------------------------------------------------------------------------------------------


def test_dry_run_predicts_result():
    toy = Toy()
    foreseen = reconcile(toy, THING, WANTED, ReconcileOptions(dry_run=True))
    assert toy.calls == []
    done = reconcile(toy, THING, WANTED, ReconcileOptions())
    assert (foreseen.plan, foreseen.object, foreseen.changed) == (done.plan, done.object, True)
    again = reconcile(toy, THING, WANTED, ReconcileOptions())
    assert not again.changed
    assert len(toy.calls) == 1


def test_a_deletion_and_nothing_after_it():
    toy = Toy({"colour": "red"})
    assert reconcile(toy, THING, {"name": "one"}, ReconcileOptions(state="absent")).object == {}
    assert toy.calls == [("delete", "things/one")]
    assert not reconcile(toy, THING, {"name": "one"}, ReconcileOptions(state="absent")).changed


def test_write_without_effect_fails_naming_difference():
    with pytest.raises(NotConverged, match="still differs in colour"):
        reconcile(
            Toy({"colour": "blue"}, deaf=True), THING, WANTED | {"friends": None, "ttl": None}, ReconcileOptions()
        )
    with pytest.raises(NotConverged):
        reconcile(Toy(deaf=True), THING, WANTED, ReconcileOptions())


def test_deletion_without_effect_fails():
    toy = Toy({"colour": "red"})
    toy.delete = lambda path: None
    with pytest.raises(NotConverged):
        reconcile(toy, THING, {"name": "one"}, ReconcileOptions(state="absent"))


@pytest.mark.parametrize("dry_run", [True, False])
def test_live_leases_are_counted_and_refused(dry_run):
    toy = Toy({})
    toy.live = {"leases/one": ["a", "b"]}
    with pytest.raises(Refused, match=r"2 live lease\(s\) \(2 under leases/one\)"):
        reconcile(toy, THING, {"name": "one"}, ReconcileOptions(state="absent", dry_run=dry_run))
    assert toy.calls == []


def test_live_leases_are_revoked_before_the_deletion_when_asked():
    toy = Toy({})
    toy.live = {"leases/one": ["a", "b"]}
    assert reconcile(toy, THING, {"name": "one"}, ReconcileOptions(state="absent", revoke_leases=True)).revoked == 2
    assert toy.calls == [("revoke", "leases/one"), ("delete", "things/one")]


def with_checks(**checks):
    return Resource(THING.kind, THING.path, THING.identity, THING.fields, **checks)


def test_missing_dependency_warns_in_dry_run_and_fails_in_run():
    resource = with_checks(pre_write_checks=(lambda server, desired, step: [Diagnostic("make it first", "missing")],))
    assert reconcile(Toy(), resource, WANTED, ReconcileOptions(dry_run=True)).warnings == ("make it first",)
    toy = Toy()
    with pytest.raises(Refused, match="make it first"):
        reconcile(toy, resource, WANTED, ReconcileOptions())
    assert toy.calls == []
    reconcile(toy, resource, WANTED, ReconcileOptions(validate=False))


def test_pre_write_checks_run_before_change_and_existing_checks_always():
    asked = []
    resource = with_checks(
        pre_write_checks=(lambda *dummy: asked.append("inquiry") or (),),
        existing_checks=(lambda *dummy: asked.append("inspection") or (),),
    )
    toy = Toy()
    reconcile(toy, resource, WANTED, ReconcileOptions())
    reconcile(toy, resource, WANTED, ReconcileOptions())
    assert asked == ["inquiry", "inspection"]


def test_post_write_checks_run_after_write_only():
    tried = []
    resource = with_checks(
        post_write_checks=(lambda server, desired, step: tried.append(step.action) or [Diagnostic("odd")],)
    )
    toy = Toy()
    reconcile(toy, resource, WANTED, ReconcileOptions(dry_run=True))
    assert reconcile(toy, resource, WANTED, ReconcileOptions()).warnings == ("odd",)
    reconcile(toy, resource, WANTED, ReconcileOptions())
    reconcile(toy, resource, WANTED, ReconcileOptions(state="absent"))
    assert tried == ["create"]


def test_missing_mount_is_predicted_and_refused():
    class Unmounted(Toy):
        def read(self, path):
            raise MountMissing("nothing is mounted there")

    assert reconcile(Unmounted(), THING, WANTED, ReconcileOptions(dry_run=True)).changed
    with pytest.raises(Refused, match="nothing is mounted there"):
        reconcile(Unmounted(), THING, WANTED, ReconcileOptions())


def test_carry_out_skips_change_in_check_mode():
    assert carry_out(lambda: pytest.fail("carried out"), "foreseen", dry_run=True) == "foreseen"
    assert carry_out(lambda: "done", "foreseen", dry_run=False) == "done"


# -- declarations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nonsense", "why"),
    [
        (lambda: Field("not a word"), "identifier"),
        (lambda: Field("x", storage="write_only"), "no_log"),
        (lambda: secret("x", read=("x",)), "never read back"),
        (lambda: secret("x", default=""), "never read back"),
        (lambda: Field("x", storage="transient", read=("x",)), "not kept"),
        (lambda: switch("x", immutable=True), "not kept"),
        (lambda: Field("x", storage="read_only", initial="y"), "only read"),
    ],
)
def test_contradictory_field_declaration_is_refused(nonsense, why):
    with pytest.raises(TypeError, match=why):
        nonsense()


def test_argument_spec_is_derived_from_declaration():
    spec = THING.argument_spec()
    assert set(spec) == {f.option for f in THING.identity + THING.fields} - {"age"}
    assert spec["password"]["no_log"] is True
    assert spec["friends"] == {"type": "list", "elements": "str"}
    assert not any("default" in option for option in spec.values())  # no default that is also a server setting
