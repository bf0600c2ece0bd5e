# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Which product, version and edition a server is, and which options it knows.

Every server accepts what it does not know without an error.  ``FEATURES`` lists the options that not every supported
server has.  Sources: servers that were run (HashiCorp Vault 1.13, 1.16 and 1.20, Community; OpenBao 2.6 and 2.7), and the
change notes of the other versions.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, MountMissing, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Plan,
    Server,
    ServerCheck,
    Values,
)

Version = tuple[int, ...]
PRODUCTS = {"vault": "HashiCorp Vault", "openbao": "OpenBao"}
TRIED: dict[str, Version] = {"vault": (1, 20), "openbao": (2, 7)}
"""The newest version of each product that this collection was run with."""
POSTGRESQL = "postgresql-database-plugin"


@dataclasses.dataclass(frozen=True)
class Identity:
    """A server, as far as it says what it is."""

    product: str = ""
    """``vault``, ``openbao``, or empty if unknown."""
    version: Version = ()
    """Empty if the server does not show it (``redact_version``)."""
    enterprise: bool = False

    def __str__(self) -> str:
        if not self.product:
            return "This server"
        number = f" {_dotted(self.version)}" if self.version else ""
        edition = f" ({'Enterprise' if self.enterprise else 'Community'} edition)" if self.product == "vault" else ""
        return f"{PRODUCTS[self.product]}{number}{edition}"

    @property
    def has_namespaces(self) -> bool | None:
        """None if that is unknown.  A server without them ignores the header and answers from its root namespace."""
        if not self.product:
            return None
        return self.enterprise if self.product == "vault" else self.version >= (2, 3)


def identify(health: t.Any) -> Identity:
    """The server behind an answer of ``sys/health``.

    HashiCorp Vault has the key ``enterprise`` since 1.16 and shows Enterprise as ``+ent`` in its version.  OpenBao begins with 2.0
    and has neither.
    """
    if not is_health(health):
        return Identity()
    version = str(health.get("version") or "")
    number = _number(version)
    if health.get("enterprise") is True or "+ent" in version:
        return Identity("vault", number, enterprise=True)
    if "enterprise" in health or (number and number < (2,)):
        return Identity("vault", number)
    return Identity("openbao", number) if number else Identity()


def is_health(answer: t.Any) -> bool:
    """Whether this is an answer of ``sys/health``, and not that of something in front of it."""
    return isinstance(answer, dict) and "version" in answer


def _number(version: str) -> Version:
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(map(int, found[1].split("."))) if found else ()


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


# -- options that not every server knows ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Feature:
    """An option that not every supported server knows."""

    option: str
    vault: Version | None = None
    """The first version of HashiCorp Vault that has it; None: none has."""
    openbao: bool = False
    """Whether OpenBao has it, in all versions."""
    enterprise: bool = False
    """Of HashiCorp Vault, only the Enterprise edition.  ``?help=1`` does not tell: it names these on Community, too."""
    in_help: bool = True
    """Where it is known, ``?help=1`` of the object's path names it.  Options of a database plugin are in no help."""
    value: t.Any = None
    """The one value of the option that is meant; any that is set, if None."""
    otherwise: str = ""
    """What a server that does not know it does instead, and what to do."""
    locks_out: bool = False
    """A server that does not know it changes a password that is in use: refused unless the server is certain to know it."""

    def asked(self, values: Values) -> bool:
        """Whether these values ask for it; empty and false is what every server does."""
        value = values.get(self.option)
        return value == self.value if self.value is not None else bool(value)

    @property
    def who(self) -> str:
        """The servers that have it."""
        having = [f"HashiCorp Vault {_dotted(self.vault)} or newer"] if self.vault else []
        if self.enterprise:
            having[0] += ", Enterprise edition"
        return " or ".join([*having, *(["OpenBao"] if self.openbao else [])])

    def known_to(self, server: Identity) -> bool | None:
        """None if the server's health and version do not show it."""
        if not server.product:
            return None
        if server.product == "vault" and self.enterprise and not server.enterprise:
            return False
        if server.product == "openbao" and self.openbao:
            return True
        if server.product == "openbao" or self.vault is None:  # no version that was tried has it
            return None if server.version[:2] > TRIED[server.product] else False
        return server.version >= self.vault if server.version else None


_TLS = "the connection would not be protected as asked; put sslmode=verify-full&sslrootcert=/path/on/the/server into connection_url"
_SCHEDULE = "use rotation_period instead"
_CLOUD = "it would be stored, and the connection would log in by user name and password"
_ROTATED_BY_HAND = "the root password would never be rotated by itself; use leasehold.vault.database_root_rotation, in a timer if need be"
_IMPORT = "the password would be rotated at once, and whoever uses it would be locked out"

FEATURES: t.Mapping[str, tuple[Feature, ...]] = {
    "connection": (
        *(
            Feature(option, (1, 18), in_help=False, otherwise=_TLS)
            for option in ("tls_ca", "tls_certificate", "private_key")
        ),
        Feature("auth_type", (1, 15), in_help=False, otherwise=_CLOUD),
        Feature("service_account_json", (1, 15), in_help=False, otherwise="its key would be stored and shown in clear"),
        Feature("use_private_ip", (1, 18), in_help=False, otherwise=_CLOUD),
        Feature("use_psc", (1, 21), in_help=False, otherwise=_CLOUD),
        Feature(
            "self_managed",
            (1, 18),
            enterprise=True,
            in_help=False,
            otherwise="the connection would need a user of its own",
        ),
        *(
            Feature(option, (1, 19), enterprise=True, otherwise=_ROTATED_BY_HAND)
            for option in ("rotation_period", "rotation_schedule", "rotation_window", "disable_automated_rotation")
        ),
        Feature("skip_static_role_import_rotation", (1, 19), enterprise=True, otherwise=_IMPORT, locks_out=True),
        Feature(
            "password_authentication",
            (1, 14),
            openbao=True,
            in_help=False,
            value="scram-sha-256",
            otherwise="passwords reach PostgreSQL, and its log if it logs statements, in clear, although the connection shows scram-sha-256",
        ),
    ),
    "role": (Feature("credential_type", (1, 14), openbao=True, in_help=False, value="client_certificate"),),
    "static_role": (
        *(Feature(option, (1, 15), otherwise=_SCHEDULE) for option in ("rotation_schedule", "rotation_window")),
        *(
            Feature(option, since, enterprise=True, otherwise=_IMPORT, locks_out=True)
            for option, since in (
                ("skip_import_rotation", (1, 18, 5)),
                ("self_managed_password", (1, 18)),
                ("password", (1, 19)),
            )
        ),
        Feature("credential_type", (1, 14), openbao=True, in_help=False, value="client_certificate"),
    ),
    "auth_mount": (Feature("use_annotations_as_alias_metadata", (1, 16)),),
    "auth_role": (
        Feature("token_strictly_bind_ip", openbao=True),
        Feature("bound_service_account_namespace_selector", (1, 16), openbao=True),
    ),
}
"""By the kind of object."""


def known_to_server(kind: str, path: t.Callable[[Values], str]) -> ServerCheck:
    """Refuse what the server would ignore.  ``path``: of the object, whose ``?help=1`` names the fields that are known there."""

    def server_check(server: Server, desired: Values, plan: Plan) -> Diagnostics:
        features = [feature for feature in FEATURES[kind] if feature.asked(desired)]
        defaults = [
            feature for feature in FEATURES[kind] if desired.get(feature.option) is None and feature.asked(plan.after)
        ]
        if not features and not defaults:
            return
        there = server.identity
        if not there.version:
            there = _by_mount(server, path(desired)) or there
        writes = plan.action in ("create", "update")
        fields = _fields_in_help(server, path(desired)) if writes and any(f.in_help for f in features) else None
        missing: list[Feature] = []
        unknown: list[Feature] = []
        for feature in features:
            known = feature.known_to(there)
            edition = feature.enterprise and there.product == "vault" and not there.enterprise
            if feature.in_help and fields is not None and not edition and not (feature.locks_out and not there.product):
                known = feature.option in fields
            (missing if known is False else unknown if known is None else []).append(feature)
        external = kind == "connection" and _not_builtin(plan.after)
        if external and features:
            yield Diagnostic(f"Whether {external} knows {_options(features)} is not known here.")
            return
        if missing:
            raise Refused(
                f"{there} does not know {_options(missing)} and would ignore it{_consequences(missing)}. {_needed(missing)}"
            )
        certain = [feature for feature in unknown if feature.locks_out]
        if certain:
            raise Refused(
                f"Whether this server knows {_options(certain)} could not be found out (sys/health), and it is not tried: "
                f"{certain[0].otherwise}."
            )
        if unknown and (writes or not all(feature.in_help for feature in unknown)):
            yield Diagnostic(
                f"Whether {there} knows {_options(unknown)} is not known here. If it does not: {unknown[0].otherwise or 'it is ignored'}."
            )
        for feature in defaults:
            if not external and feature.known_to(there) is False:
                yield Diagnostic(
                    f"{there} does not know {feature.option}{_consequences([feature])}. {_needed([feature])}"
                )

    return server_check


def _options(features: t.Sequence[Feature]) -> str:
    return ", ".join(f.option if f.value is None else f"{f.option}: {f.value}" for f in features)


def _consequences(features: t.Sequence[Feature]) -> str:
    return "".join(f": {what}" for what in dict.fromkeys(f.otherwise for f in features if f.otherwise))


def _needed(features: t.Sequence[Feature]) -> str:
    return f"Needed is {'; '.join(dict.fromkeys(f.who for f in features))}."


def _fields_in_help(server: Server, path: str) -> set[str] | None:
    """The fields of a path, as this server has them; None where nothing is mounted (yet)."""
    try:
        answer = server.ask("get", path, params={"help": "1"})
    except MountMissing:
        return None
    schemas = answer["openapi"]["components"]["schemas"].values()
    return {key for schema in schemas for key in schema.get("properties", {})}


def _by_mount(server: Server, path: str) -> Identity | None:
    """Where ``sys/health`` does not show the version, that of the mount's plugin does: ``v1.16.0+builtin.vault``."""
    there = server.identity
    try:
        current = server.read(f"sys/internal/ui/mounts/{path}") or {}
    except Forbidden:
        return None
    running = str(current.get("running_plugin_version") or "")
    found = re.search(r"\+builtin\.(vault|bao)", running)
    product = "openbao" if found and found[1] == "bao" else "vault"
    if not found or (there.product and there.product != product):
        return None
    return Identity(product, _number(running), there.enterprise)


def _not_builtin(connection: Values) -> str:
    """The database plugin of a connection, if it is not the one that came with the server; its version is its own then."""
    plugin, version = connection.get("plugin_name") or POSTGRESQL, connection.get("plugin_version") or ""
    if plugin == POSTGRESQL and not version:
        return ""
    return f"the plugin {plugin} {version}".rstrip()
