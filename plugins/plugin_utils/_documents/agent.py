# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.


"""The applications of the document (``vault_applications``) that have an agent, as what the agent's configuration is made of."""

from __future__ import annotations

import json
import re
import typing as t
from urllib.parse import quote, urlencode

from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name as vault_name
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    Address,
    join_parameters,
    libpq_parameters,
    parse_addresses,
    pgpass_places,
    url_parts,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import entry_of
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import Target, target

Values = dict[str, t.Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
ENTRY = {"user", "group", "login", "files", "exec", "reload", "service", "state"}
WHERE = {"role", "static_role", "host", "port", "database", "sslmode", "ca_cert"}
FILE = {"path", "format", "owner", "group", "mode", "keys", "section", "template", *WHERE}
EXEC = {"command", "environment", "stop_signal", *WHERE}
LOGIN: dict[str, dict[str, str]] = {  # our word: the agent's
    "approle": {"role_id_file": "role_id_file_path", "secret_id_file": "secret_id_file_path"},
    "kubernetes": {"role": "role", "jwt_file": "token_path"},
    "token_file": {"path": "token_file_path"},
}

OF_SERVER = ("host", "port", "database", "sslmode", "sslrootcert", "target_session_attrs")
PLAIN = {word: word for word in (*OF_SERVER, "username", "password")}
LIBPQ = {
    "PGHOST": "host", "PGPORT": "port", "PGDATABASE": "database", "PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert",
    "PGTARGETSESSIONATTRS": "target_session_attrs", "PGUSER": "username", "PGPASSWORD": "password",
}  # fmt: skip
SERVICE = {
    "host": "host", "port": "port", "dbname": "database", "sslmode": "sslmode", "sslrootcert": "sslrootcert",
    "target_session_attrs": "target_session_attrs", "user": "username", "password": "password",
}  # fmt: skip

# How each format writes one value: what is piped behind it in the agent's template language.
BACKSLASH = 'regexReplaceAll "([{})" "\\\\$1"'
ESCAPE = {
    "env": BACKSLASH.format(r"\\\\\"$`]"),  # between double quotes: alike for shells and for systemd's EnvironmentFile
    "properties": BACKSLASH.format(r"\\\\ \t]"),
    "json": "toJSON",
    "yaml": "toJSON",  # what JSON quotes, YAML reads
    "pgpass": BACKSLASH.format(r"\\\\:]"),
    "pg_service": "",
}
BLANK_AT_THE_END = (
    '{{ if .Data.password | regexMatch "\\\\s$" }}'
    '{{ sprig_fail "a service file cannot hold a password that ends with a blank" }}{{ end }}'
)


def agent_document(
    applications: list[Values],
    databases: list[Values] | None = None,
    mount: str = "database",
    home: str = "/etc/vault-agent",
    runtime: str = "/run",
    units: str = "/etc/systemd/system",
) -> list[Values]:
    """The entries of ``vault_applications`` that have ``agent``, complete and checked."""
    return [
        _application(application, databases or [], mount, home, runtime, units)
        for application in applications
        if application.get("agent") is not None
    ]


def _application(
    application: Values, databases: list[Values], mount: str, home: str, runtime: str, units: str
) -> Values:
    name = str(application.get("name") or "")
    if not NAME.fullmatch(name):
        raise AnsibleFilterError(f"An application's name has letters, digits, '_', '.' and '-', not {name!r}.")
    agent, where = application["agent"], f"{name}: agent"
    _only(agent, ENTRY, where)
    answer: Values = {
        "name": name,
        "state": agent.get("state") or application.get("state") or "present",
        "home": f"{home}/{name}",
        "runtime": f"{runtime}/vault-agent-{name}",
        "unit": f"{units}/vault-agent-{name}.service",
        "user": agent.get("user") or "root",
        "group": agent.get("group") or "",
        "reload": [str(word) for word in agent.get("reload") or []],
        "service": agent.get("service") or {},
        "login": {},
        "exec": None,
        "files": [],
        "templates": [],
        "secrets": [],
    }
    if answer["state"] not in ("present", "absent"):
        raise AnsibleFilterError(f"{where}: state is present or absent, not {answer['state']!r}.")
    if answer["state"] == "absent":
        return answer
    if bool(agent.get("files")) == bool(agent.get("exec")):
        raise AnsibleFilterError(f"{where}: give either files or exec; the agent cannot do both.")
    _check_reload(answer["reload"], answer["user"], where)
    answer["login"] = _login(application, agent, answer["home"])
    if agent.get("exec"):
        if answer["reload"]:
            raise AnsibleFilterError(f"{where}: exec starts the command anew by itself; reload goes with files.")
        _exec(answer, agent["exec"], application, databases, mount)
    else:
        files = [_file(entry, application, databases, mount) for entry in agent["files"]]
        if len({entry["path"] for entry in files}) < len(files):
            raise AnsibleFilterError(f"{where}: two files have the same path.")
        for number, entry in enumerate(files):
            entry["source"] = f"{answer['home']}/{number}.ctmpl"
            answer["templates"].append({"source": entry["source"], "template": entry.pop("template")})
        answer["secrets"] = list({entry["secret"]["path"]: entry.pop("secret") for entry in files}.values())
        answer["files"] = files
    return answer


def _check_reload(words: list[str], user: str, where: str) -> None:
    """systemd takes a reload of a system service from root alone; the agent would fail at its first new credentials."""
    if user != "root" and words and words[0].rpartition("/")[2] == "systemctl" and "--user" not in words:
        raise AnsibleFilterError(
            f"{where}: reload calls systemctl, which systemd does not allow {user}. Leave user out, so that the agent runs as root, or notify the application "
            f"by a signal, as in [pkill, -HUP, -x, {words[-1].removesuffix('.service')}]. Where a policy of your own (polkit) allows it, call "
            "a script of your own."
        )


def _login(application: Values, agent: Values, home: str) -> Values:
    """In the agent's words: ``{"type": …, "mount_path": …, "config": {…}}``"""
    name = application["name"]
    given = agent.get("login") or {
        method: {key: value for key, value in (settings or {}).items() if key in ("mount", *LOGIN[method])}
        for method, settings in (application.get("auth") or {}).items()
        if method in LOGIN
    }
    if len(given) != 1:
        raise AnsibleFilterError(f"{name}: agent.login must have one of {', '.join(LOGIN)}.")
    ((method, settings),) = given.items()
    if method not in LOGIN:
        raise AnsibleFilterError(f"{name}: the agent logs in by {', '.join(LOGIN)}, not by {method}.")
    settings = settings or {}
    _only(settings, {"mount", *LOGIN[method]}, f"{name}: agent.login.{method}")
    defaults = {
        "approle": {"role_id_file": f"{home}/role_id", "secret_id_file": f"{home}/secret_id"},
        "kubernetes": {"role": name},
        "token_file": {},
    }[method]
    words = {**defaults, **{key: value for key, value in settings.items() if key != "mount"}}
    if method == "token_file" and not words.get("path"):
        raise AnsibleFilterError(f"{name}: agent.login.token_file needs the path of the file.")
    config = {LOGIN[method][key]: str(value) for key, value in words.items() if value}
    if method == "approle" and "secret_id_file_path" in config:
        config["remove_secret_id_file_after_reading"] = "false"  # it is needed after the next start, too
    mount = str(settings.get("mount") or method).strip("/")
    return {"type": method, "mount_path": "" if method == "token_file" else f"auth/{mount}", "config": config}


# ------------------------------------------------------------------------------------------------------------- what is rendered


def _file(entry: Values, application: Values, databases: list[Values], mount: str) -> Values:
    _only(entry, FILE, f"{application['name']}: agent.files")
    path = str(entry.get("path") or "")
    where = f"{application['name']}: {path or 'an entry of agent.files'}"
    if not path.startswith("/") or path.endswith("/") or "\n" in path:
        raise AnsibleFilterError(f"{where}: path is the absolute path of the file.")
    form = entry.get("format") or ("template" if entry.get("template") else "")
    if form not in ("template", *ESCAPE):
        raise AnsibleFilterError(f"{where}: format is one of {', '.join(ESCAPE)}, or template, not {form!r}.")
    if (form == "template") != bool(entry.get("template")):
        raise AnsibleFilterError(f"{where}: template goes with format: template.")
    if entry.get("keys") and form not in ("env", "properties", "json", "yaml"):
        raise AnsibleFilterError(f"{where}: keys go with env, properties, json and yaml; {form} has its own.")
    secret = _secret(entry, application, mount, where)
    every = {word for word in ("host", "port", "database") if form == "pgpass" and entry.get(word) == "*"}
    known = _known({word: value for word, value in entry.items() if word not in every}, secret, databases, where)
    known = {word: value for word, value in known.items() if word not in every}
    section = str(entry.get("section") or application["name"])
    text = entry["template"] if form == "template" else _text(form, known, entry.get("keys"), section, secret, where)
    return {
        "path": path,
        "directory": path.rpartition("/")[0] or "/",
        "template": text,
        "secret": secret,
        "owner": str(entry.get("owner") or ""),
        "group": str(entry.get("group") or ""),
        "mode": str(entry.get("mode") or "0600"),
    }


def _exec(answer: Values, entry: Values, application: Values, databases: list[Values], mount: str) -> None:
    where = f"{answer['name']}: agent.exec"
    _only(entry, EXEC, where)
    command = entry.get("command")
    if not command or isinstance(command, str):
        raise AnsibleFilterError(f"{where}: command is a list of words, the first one the path of the program.")
    secret = _secret(entry, application, mount, where)
    fields = _fields(_known(entry, secret, databases, where), entry.get("environment"), LIBPQ, where)
    answer["secrets"] = [secret]
    answer["templates"] = [
        {
            "name": key,
            "source": f"{answer['home']}/{key}.ctmpl",
            "template": _with(secret["path"], f"{{{{ {value} }}}}", joint=""),
        }
        for key, value in fields.items()
    ]
    answer["exec"] = {"command": [str(word) for word in command], "stop_signal": entry.get("stop_signal") or "SIGTERM"}


def _text(form: str, known: Values, keys: Values | None, section: str, secret: Values, where: str) -> str:
    """The agent's template for a format."""
    if form == "pgpass":
        return _with(secret["path"], "\n".join(_pgpass(known)))
    if form == "pg_service":
        lines = [f"{key}={_piped(value, form)}" for key, value in _fields(known, None, SERVICE, where).items()]
        return _with(secret["path"], "\n".join([BLANK_AT_THE_END + f"[{section}]", *lines]))
    if form in ("json", "yaml") and known.get("port", "").strip('"').isdigit():
        known = {**known, "port": known["port"].strip('"')}  # a number
    fields = _fields(known, keys, LIBPQ if form == "env" else PLAIN, where)
    values = {key: _piped(value, form) for key, value in fields.items()}
    if form == "env":
        for key in values:
            if not re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII):
                raise AnsibleFilterError(f"{where}: {key!r} cannot be the name of an environment variable.")
        lines = [f'{key}="{value}"' for key, value in values.items()]
    elif form == "properties":
        lines = [re.sub(r"([\\:=#!\s])", r"\\\1", key) + f"={value}" for key, value in values.items()]
    elif form == "yaml":
        lines = [f"{_literal(key)}: {value}" for key, value in values.items()]
    else:
        lines = ["{", ",\n".join(f"  {_literal(key)}: {value}" for key, value in values.items()), "}"]
    return _with(secret["path"], "\n".join(lines))


def _pgpass(known: Values) -> list[str]:
    """A line for each server, as the filter postgresql_pgpass writes them."""
    host, port, database = (json.loads(known.get(key, '"*"')) for key in ("host", "port", "database"))
    who = ":".join(_piped(known[field], "pgpass") for field in ("username", "password"))
    places = pgpass_places(parse_addresses(host, port, default_port="*"), database)
    return [f"{{{{ {_literal(place)} }}}}:{who}" for place in places]


def _fields(known: Values, keys: Values | None, default: Values, where: str) -> Values:
    """For each key of the result, the expression of its value."""
    if not keys:
        return {key: known[field] for key, field in default.items() if field in known}
    for field in keys.values():
        if field not in known:
            raise AnsibleFilterError(
                f"{where}: {field!r} is not known; known are {', '.join(known)}"
                " (those of the server come from the file's entry, or from vault_databases)."
            )
    return {str(key): known[field] for key, field in keys.items()}


def _known(entry: Values, secret: Values, databases: list[Values], where: str) -> Values:
    """For each field its expression in the agent's template language."""
    try:
        found = _target(entry, secret, databases)
    except ValueError as error:
        raise AnsibleFilterError(f"{where}: {error}.") from None
    words = {**libpq_parameters(found.addresses), "database": found.database, **found.parameters}
    known = {key: _literal(words[key]) for key in OF_SERVER if words.get(key)}
    known |= {"username": ".Data.username", "password": ".Data.password"}
    if "host" in known and found.database:
        authority, hosts = url_parts(found.addresses)
        query = join_parameters(hosts, urlencode(found.parameters, quote_via=quote, safe="/"))
        tail = f"@{authority}/{quote(found.database, safe='')}{query}"
        # A blank is %20 in every part of a URL, "+" in its query only.
        user, password = (f'({known[key]} | urlquery | replaceAll "+" "%20")' for key in ("username", "password"))
        known["url"] = f'(printf "postgresql://%s:%s%s" {user} {password} {_literal(tail)})'
    return known


def _target(entry: Values, secret: Values, databases: list[Values]) -> Target:
    """What the file's own entry says of the server, and for the rest what the document says of the role's database."""
    database = entry_of(secret["name"], databases, secret["kind"]) or {}
    given = {**database, **{key: entry[key] for key in WHERE if entry.get(key)}}
    if given.get("host") or given.get("connection_url"):
        return target(given, "verify-full" if database else "")
    return Target(
        [Address("", str(given.get("port") or ""))],
        str(given.get("database") or ""),
        {
            key: str(given[word])
            for key, word in (("sslmode", "sslmode"), ("sslrootcert", "ca_cert"))
            if given.get(word)
        },
    )


def _secret(entry: Values, application: Values, mount: str, where: str) -> Values:
    """Whose credentials, and the template of what tells these from others: the lease, or the time of the rotation."""
    current = [("roles", str(name)) for name in application.get("roles") or []]
    current += [("static_roles", str(name)) for name in application.get("static_roles") or []]
    given = [(f"{word}s", str(entry[word])) for word in ("role", "static_role") if entry.get(word)]
    if len(given) > 1:
        raise AnsibleFilterError(f"{where}: give role or static_role, not both.")
    if not given and len(current) != 1:
        names = ", ".join(name for _kind, name in current)
        raise AnsibleFilterError(f"{where}: role is needed; the application has {names or 'none'}.")
    kind, name = (given or current)[0]
    if current and (kind, name) not in current:
        raise AnsibleFilterError(f"{where}: {name} is not among the application's {kind}.")
    try:
        vault_name(name)
    except ValueError:
        raise AnsibleFilterError(f"{where}: {name!r} cannot be the name of a role.") from None
    path = f"{mount.strip('/')}/{'creds' if kind == 'roles' else 'static-creds'}/{name}"
    witness = _with(path, f"{{{{ {'.LeaseID' if kind == 'roles' else '.Data.last_vault_rotation'} }}}}", joint="")
    return {"kind": kind, "name": name, "path": path, "witness": witness}


def _with(path: str, text: str, joint: str = "\n") -> str:
    return f"{{{{ with secret {_literal(path)} }}}}{text}{joint}{{{{ end }}}}"


def _piped(value: str, form: str) -> str:
    return f"{{{{ {value} | {ESCAPE[form]} }}}}" if ESCAPE[form] else f"{{{{ {value} }}}}"


def _literal(text: str) -> str:
    """A quoted string, alike in JSON and in the agent's template language."""
    return json.dumps(text, ensure_ascii=False)


def _only(entry: t.Any, known: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise AnsibleFilterError(f"{where}: a dictionary is needed, not {entry!r}.")
    if unknown := sorted(set(entry) - known):
        raise AnsibleFilterError(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(sorted(known))}.")
