# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What a field and a resource are; reconciliation, which decides what has to change and does it.  It knows no Ansible, no HTTP and no database.

A resource is declared once: a path and its fields.  From that declaration come the module's options, the
comparison, the request and the diff.  ``plan()`` only thinks; ``reconcile()`` reads, asks ``plan()``, acts and
reads again, and holds the collection's only check-mode branch.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import (
    Forbidden,
    MountMissing,
    NotConverged,
    Problem,
    Refused,
)

if t.TYPE_CHECKING:
    import builtins

Values = dict[str, t.Any]
SENT = "(sent)"  # what a diff shows in the place of a secret


def unchanged(value: t.Any) -> t.Any:
    return value


@dataclasses.dataclass(frozen=True)
class Field:
    """One option of a module, and where the server keeps it."""

    option: str
    type: str = "str"
    normalize: t.Callable[[t.Any], t.Any] = unchanged
    """Both sides pass here before they are compared, ours also before it is sent; ``ValueError`` refuses a value."""
    encode: t.Callable[[t.Any], t.Any] = unchanged
    """The form in which a compared value is sent."""
    compare_by: t.Callable[[t.Any], t.Any] = unchanged
    """What of a value is compared, and shown in a diff, when it is not all of it."""
    send: tuple[str, ...] = ()
    """Where the value goes in the request; the option's own name if empty."""
    read: tuple[str, ...] = ()
    """Where the answer holds it; the place it was sent to if empty."""
    storage: t.Literal["readable", "write_only", "transient", "read_only"] = "readable"
    """readable: compared. write_only: a secret, never read back. transient: a switch for this one request. read_only: only read."""
    default: t.Any = None
    """What it means when the server does not show the key at all."""
    initial: t.Any = None
    """Sent on creation when the task is silent; a callable is asked with the task's values."""
    immutable: bool = False
    """The server takes it at creation only."""
    internal: bool = False
    """Kept by us on the server; not an option of the module."""
    resend: bool = False
    """Repeated in every update, as it was if the task is silent: the server would drop it, or insists."""
    presence_flag: tuple[str, ...] = ()
    """Of a secret: where the answer says whether there is one.  Of a switch: where it says how the last write left it, on servers
    that keep it; left at false it is set back to true.  Not every server has either."""
    spec: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """The rest of the Ansible option: ``aliases``, ``choices``, ``elements``, ``no_log``, ``required``, ``default``."""

    def __post_init__(self) -> None:
        def nonsense(why: str) -> None:
            raise TypeError(f"field {self.option}: {why}")

        if not self.option.isidentifier():
            nonsense("an option's name is a Python identifier")
        if self.storage == "write_only" and (self.read or self.default is not None):
            nonsense("a secret is never read back, so it has no read path and no default")
        if self.storage == "write_only" and self.spec.get("no_log") is not True:
            nonsense("a secret is no_log")
        if self.storage == "transient" and (self.read or self.immutable):
            nonsense("a switch is not kept, so it can be neither read nor fixed")
        if self.storage == "read_only" and (
            self.send or self.initial is not None or self.spec or self.resend or self.immutable
        ):
            nonsense("a fact is only read")
        if not self.send:
            object.__setattr__(self, "send", (self.option,))
        if not self.read:
            object.__setattr__(self, "read", self.send)

    def current_value(self, answer: t.Any) -> t.Any:
        """The value in an answer of the server, in the form in which values are compared."""
        current = _at(answer, self.read)
        value = self.default if current is None else current
        try:
            return None if value is None else self.normalize(value)
        except ValueError:
            return value  # written by others, in a form in which we would not

    def desired_value(self, desired: Values) -> t.Any:
        """The value the task asks for, in the form in which values are compared; None when it is silent."""
        value = desired.get(self.option)
        if value is None:
            return None
        try:
            return self.normalize(value)
        except ValueError as error:
            raise Refused(f"{self.option}: {error}") from None

    def argument(self) -> Values:
        """The option as Ansible wants it declared."""
        return {"type": self.type, **self.spec}


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """What a rule or an inquiry has to say before anything is written."""

    text: str
    kind: t.Literal["warning", "missing"] = "warning"
    """missing: something has to exist first; a check run only warns, since an earlier task may be about to make it."""


Diagnostics = t.Iterable[Diagnostic]
Validator = t.Callable[[Values, "Plan"], Diagnostics]
ServerCheck = t.Callable[["Server", Values, "Plan"], Diagnostics]
DependencyCheck = t.Callable[["Server", Values, "Plan", "ReconcileOptions"], Diagnostics]


@dataclasses.dataclass(frozen=True)
class Resource:
    """A kind of object on the server."""

    kind: str
    """What it is called: the word in sentences and the key of the module's result."""
    path: str
    """Where it lives, written with the identity's options: ``{mount}/roles/{name}``."""
    identity: tuple[Field, ...]
    fields: tuple[Field, ...]
    shorthand: t.Mapping[str, Values] = dataclasses.field(default_factory=dict)
    """Further options of its module, declared as Ansible wants them; ``derive`` and the checks understand them."""
    constraints: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """What Ansible knows as ``mutually_exclusive`` and the like."""
    secret_keys: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    """Of options that are dictionaries: the keys whose values are secrets.  Ansible's ``no_log`` hides whole options only."""
    update_path: str = ""
    """Where changes go, when not to the path itself; request bodies there are flat."""
    derive: t.Callable[[Values], Values] = unchanged
    """Turns a module's shorthand options into fields."""
    as_in_use: t.Callable[[Server, Values, Values | None], Values] = lambda server, desired, answer: desired
    """Fills in, from what the server has in use, what the task leaves open; asked with the result of ``derive`` and the server's answer
    for the object, None if there is none."""
    extra_fields: t.Callable[[Values], tuple[Field, ...]] = lambda desired: ()
    """Fields that only this task has: what it asks to be passed on although it is not declared."""
    validators: tuple[Validator, ...] = ()
    """Refuse (or warn) from what was asked and planned alone."""
    requirements: tuple[ServerCheck, ...] = ()
    """Refuse (or warn about) what this server cannot do; asked in every run, with ``validate: false``, too."""
    pre_write_checks: tuple[ServerCheck, ...] = ()
    """Refuse (or warn) after asking the server; asked only before a change, and not with ``validate: false``."""
    existing_checks: tuple[ServerCheck, ...] = ()
    """The same, asked of an existing object in every run."""
    dependency_checks: tuple[DependencyCheck, ...] = ()
    """Refuse (or warn) for other objects that rely on this one; asked before an update or a deletion, not with ``validate: false``."""
    post_write_checks: tuple[ServerCheck, ...] = ()
    """What is tried on the server after a change was made."""
    side_effects: t.Callable[[Values], Values] = lambda desired: {}
    """What a creation does beside making the object, in words for the diff."""
    leases: t.Callable[[Server, Values], list[str]] | None = None
    """The prefixes of the leases that depend on the object."""
    stranded: str = "their database users could not be removed afterwards"
    """What would become of these leases if the object were deleted: the second half of a sentence."""
    endangers: t.Callable[[Server, Values, Plan], str] | None = None
    """What an update would do to them, in words; empty if it leaves them alone."""

    def at(self, desired: Values, template: str = "") -> str:
        return (template or self.path).format(**{f.option: f.desired_value(desired) for f in self.identity})

    def describe(self, desired: Values, answer: Values | None) -> Values:
        """The object as the server holds it, in the module's words; empty when there is none."""
        if answer is None:
            return {}
        named = {f.option: f.desired_value(desired) for f in self.identity}
        return {**named, **self.current_values(answer)}

    def current_values(self, answer: Values) -> Values:
        return _present(
            {f.option: f.current_value(answer) for f in self.fields if f.storage in ("readable", "read_only")}
        )

    def in_diff(self, values: Values) -> Values:
        """A side of a plan, as far as it counts."""
        counts = {f.option: f.compare_by for f in self.fields}
        return {option: counts[option](value) if option in counts else value for option, value in values.items()}

    def argument_spec(self) -> Values:
        options = [f for f in self.identity + self.fields if f.storage != "read_only" and not f.internal]
        return {**{f.option: f.argument() for f in options}, **self.shorthand}


class Server(t.Protocol):
    """What the engine needs of a client."""

    identity: t.Any
    """Which server it is: an ``Identity`` of ``_vault/servers.py``."""

    def read(self, path: str) -> Values | None:
        """What is at this path; nothing, if there is nothing."""

    def list(self, path: str) -> builtins.list[str]:
        """The names below this path."""

    def write(self, path: str, body: Values) -> None:
        """Make or change what is at this path."""

    def delete(self, path: str) -> None:
        """Remove what is at this path."""

    def leases(self, prefix: str) -> builtins.list[str]:
        """The leases that live below this prefix."""

    def revoke_prefix(self, prefix: str) -> None:
        """End them."""

    def ask(
        self,
        method: str,
        path: str,
        body: Values | None = None,
        kind: t.Any = "repeat",
        absent_ok: bool = False,
        params: Values | None = None,
        *,
        needs: t.Sequence[str] = (),
    ) -> t.Any:
        """One request, and what its answer holds."""


class _Reading:
    def __init__(self, server: Server, read: t.Callable[[str], Values | None]) -> None:
        self._server, self.read = server, read

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._server, name)


def reading(server: Server, read: t.Callable[[str], Values | None]) -> Server:
    """The same server, read in another way: where it does not show an object by itself, or does not have it yet."""
    return t.cast("Server", _Reading(server, read))


@dataclasses.dataclass(frozen=True)
class ReconcileOptions:
    """How the task wants its change made; none of it is kept by the server."""

    state: str = "present"
    secrets: str = "on_create"
    """``on_create`` sends secrets only when the object is made, ``always`` in every run."""
    validate: bool = True
    revoke_leases: bool = False
    keep_leases: bool = False
    """Update although live leases and static roles rely on what changes, or delete without looking for leases; they go on."""
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    action: t.Literal["none", "create", "update", "delete"]
    before: Values
    after: Values
    body: Values


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What happened (or would, in a dry run), and the object as it is now (or would be)."""

    plan: Plan
    object: Values
    warnings: tuple[str, ...] = ()
    revoked: int = 0
    side_effects: Values = dataclasses.field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return self.plan.action != "none"


def plan(resource: Resource, desired: Values, answer: Values | None, reconcile_options: ReconcileOptions) -> Plan:
    """Decide what has to change, without any request: check mode and diff show this plan."""
    exists = answer is not None
    before = resource.current_values(answer) if answer is not None else {}
    if reconcile_options.state == "absent":
        return Plan("delete" if exists else "none", before, {}, {})

    given = _present({f.option: f.desired_value(desired) for f in resource.fields if f.storage != "read_only"})
    if not exists:
        given = {**_present({f.option: _initial(f, desired) for f in resource.fields}), **given}
    new: list[Field] = []
    for field in resource.fields:
        if field.option not in given:
            continue
        shown = _at(answer, field.presence_flag) if field.presence_flag else None
        if field.storage == "transient":
            if given[field.option] is True and shown is False:
                before = {**before, field.option: shown}
                new.append(field)
            continue
        if field.storage == "write_only":
            differs = reconcile_options.secrets == "always" or (
                shown is not None and shown != bool(given[field.option])
            )
        else:
            current = before.get(field.option)
            differs = current is None or field.compare_by(given[field.option]) != field.compare_by(current)
        if exists and not differs:
            continue
        if exists and field.immutable:
            raise Refused(
                f"{field.option} of {resource.kind} {resource.at(desired)} is {before.get(field.option)!r} and cannot become "
                f"{given[field.option]!r}: the server takes it only at creation. Delete the {resource.kind} and create it again, "
                "or leave the option out."
            )
        new.append(field)

    if exists and not new:
        return Plan("none", before, before, {})
    after = {**before, **{f.option: SENT if f.storage == "write_only" else given[f.option] for f in new}}
    sent = {**{f.option: before[f.option] for f in resource.fields if f.resend and f.option in before}, **given}
    along = [f for f in resource.fields if f.option in sent and f not in new and (f.storage == "transient" or f.resend)]
    nested = not (exists and resource.update_path)
    body: Values = {}
    for field in new + along:
        _put(body, field.send if nested else field.send[-1:], field.encode(sent[field.option]))
    return Plan("update" if exists else "create", before, after, body)


def reconcile(
    server: Server, resource: Resource, desired: Values, reconcile_options: ReconcileOptions, view: Server | None = None
) -> Outcome:
    """Read, plan, ask, act, read again: a write that did not stick is an error, never a quiet change.

    ``view`` is the server as the checks before a change see it, when that is not as it is: with what else the same run is about to make.
    """
    view = view or server
    desired = resource.derive(desired)
    extra = resource.extra_fields(desired)
    resource = dataclasses.replace(resource, fields=resource.fields + extra) if extra else resource
    path = resource.at(desired)
    findings: list[Diagnostic] = []
    try:
        answer = server.read(path)
        if reconcile_options.state == "present":
            desired = resource.as_in_use(view, desired, answer)
    except MountMissing as error:
        answer = None
        findings.append(Diagnostic(str(error), "missing"))
    step = plan(resource, desired, answer, reconcile_options)
    for rule in resource.validators:
        findings.extend(rule(desired, step))
    if reconcile_options.validate and not _stopped(findings):
        asked = resource.existing_checks if answer is not None else ()
        asked += resource.pre_write_checks if step.action in ("create", "update") else ()
        for server_check in asked:
            findings.extend(server_check(view, desired, step))
    if reconcile_options.state == "present" and not _stopped(findings):
        for requirement in resource.requirements:
            findings.extend(requirement(view, desired, step))
    stranded = (
        _stranded(view, resource, desired, step, reconcile_options) if step.action in ("update", "delete") else {}
    )
    if reconcile_options.validate and step.action in ("update", "delete"):
        for safeguard in resource.dependency_checks:
            findings.extend(safeguard(view, desired, step, reconcile_options))
    if step.action == "delete" and resource.leases and resource.endangers and reconcile_options.keep_leases:
        findings.append(
            Diagnostic(
                f"Whether live leases depend on {resource.kind} {path} was not looked at (keep_leases), and {resource.stranded}; "
                "leasehold.vault.database_orphans_info finds them."
            )
        )
    warnings = tuple(finding.text for finding in findings)
    revoked = sum(stranded.values())

    beside = resource.side_effects(desired) if step.action == "create" else {}
    foreseen = Outcome(step, _predicted(resource, desired, answer, step), warnings, revoked, beside)

    def change() -> Outcome:
        for finding in findings:
            if finding.kind == "missing":
                raise Refused(finding.text)
        if step.action == "none":
            return foreseen
        return _apply(server, resource, desired, reconcile_options, foreseen, stranded)

    return carry_out(change, foreseen, reconcile_options.dry_run)


T = t.TypeVar("T")


def carry_out(change: t.Callable[[], T], foreseen: T, dry_run: bool) -> T:
    """The one place where a check run and a real run part."""
    return foreseen if dry_run else change()


def _apply(
    server: Server,
    resource: Resource,
    desired: Values,
    reconcile_options: ReconcileOptions,
    foreseen: Outcome,
    stranded: t.Iterable[str],
) -> Outcome:
    path, step, warnings = resource.at(desired), foreseen.plan, foreseen.warnings
    for prefix in stranded:
        server.revoke_prefix(prefix)
    if step.action == "delete":
        server.delete(path)
    else:
        updating = step.action == "update" and resource.update_path
        server.write(resource.at(desired, resource.update_path) if updating else path, step.body)

    answer = server.read(path)
    left = plan(resource, desired, answer, dataclasses.replace(reconcile_options, secrets="on_create"))
    if left.action != "none":
        odd = ", ".join(sorted(k for k in {**left.before, **left.after} if left.before.get(k) != left.after.get(k)))
        raise NotConverged(
            f"Vault accepted the {step.action} of {resource.kind} {path} and does not show it"
            f"{': it still differs in ' + odd if odd else ''}. Somebody else may be changing it, or this server does not know "
            "the option; read it again with the info module."
        )
    if step.action != "delete":
        try:
            for trial in resource.post_write_checks:
                warnings += tuple(finding.text for finding in trial(server, desired, step))
        except Problem:
            _put_back(server, resource, desired, reconcile_options, step)
            raise
    return dataclasses.replace(foreseen, object=resource.describe(desired, answer), warnings=warnings)


def _put_back(
    server: Server, resource: Resource, desired: Values, reconcile_options: ReconcileOptions, step: Plan
) -> None:
    """Undo a change that was tried and does not work; what stayed would look fine to the next run."""
    path = resource.at(desired)
    if step.action == "create":
        server.delete(path)
        return
    earlier = {**{f.option: desired[f.option] for f in resource.identity}, **step.before}
    back = plan(resource, earlier, server.read(path), dataclasses.replace(reconcile_options, secrets="on_create"))
    if back.action == "update":
        server.write(resource.at(desired, resource.update_path or resource.path), back.body)


def _stopped(findings: t.Iterable[Diagnostic]) -> bool:
    return any(finding.kind == "missing" for finding in findings)


def _stranded(
    server: Server, resource: Resource, desired: Values, step: Plan, reconcile_options: ReconcileOptions
) -> dict[str, int]:
    """How many live leases a deletion or an update would harm, by prefix; refused unless the task wants them revoked."""
    if resource.leases is None or not (reconcile_options.validate or reconcile_options.revoke_leases):
        return {}
    deleting = step.action == "delete"
    if resource.endangers is not None and reconcile_options.keep_leases:
        danger = ""
    elif deleting:
        danger = resource.stranded
    elif resource.endangers is None:
        danger = ""
    else:
        danger = resource.endangers(server, desired, step)
    if not danger:
        return {}
    not_done = f"Not {'deleted' if deleting else 'changed'}: {resource.kind} {resource.at(desired)}"
    try:
        counted = {prefix: len(server.leases(prefix)) for prefix in resource.leases(server, desired)}
    except Forbidden as error:
        risk = "keep_leases: true" if resource.endangers else "validate: false"
        raise Forbidden(
            f"{not_done}, because whether live leases depend on it could not be seen. {error} With {risk} nobody looks; the database users of "
            "any live lease may stay in the database for good then."
        ) from None
    live = {prefix: count for prefix, count in counted.items() if count}
    if live and not reconcile_options.revoke_leases:
        listed = ", ".join(f"{count} under {prefix}" for prefix, count in sorted(live.items()))
        keep = "set keep_leases: true if "
        keep += "their users may stay, " if deleting else "they can be ended all the same afterwards, "
        keep = keep if resource.endangers else ""
        raise Refused(
            f"{not_done} still has {sum(live.values())} live lease(s) ({listed}), and {danger}. Set revoke_leases: true to revoke "
            f"them first, {keep}or wait for them to end."
        )
    return live


def _predicted(resource: Resource, desired: Values, answer: Values | None, step: Plan) -> Values:
    if step.action == "delete":
        return {}
    if answer is None and not step.after:
        return {}
    named = {f.option: f.desired_value(desired) for f in resource.identity}
    now = step.before if answer is not None else resource.current_values({})
    return {**named, **now, **{k: v for k, v in step.after.items() if v != SENT}}


def _at(answer: t.Any, path: t.Sequence[str]) -> t.Any:
    for step in path:
        answer = answer.get(step) if isinstance(answer, dict) else None
    return answer


def _initial(field: Field, desired: Values) -> t.Any:
    value = field.initial(desired) if callable(field.initial) else field.initial
    return None if value is None else field.normalize(value)


def _present(values: Values) -> Values:
    return {key: value for key, value in values.items() if value is not None}


def _put(body: Values, path: t.Sequence[str], value: t.Any) -> None:
    for step in path[:-1]:
        body = body.setdefault(step, {})
    body[path[-1]] = value
