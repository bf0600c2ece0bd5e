# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`migrate` changes the words that have to change, and not one byte beside them."""

from __future__ import annotations

import re
import stat
import textwrap

import pytest
import yaml
from migrate import rewrite, tables

from .conftest import ROOT, specification_of

GUIDE = ROOT / "docs" / "migration.md"


def rewritten(text, *mounts, collections=()):
    """The text afterwards, and what was reported."""
    file = rewrite.File("play.yml", textwrap.dedent(text), ["database", *mounts], collections)
    return file.rewrite(), [given for _line, given in file.left]


def becomes(before, after, *mounts, **more):
    text, left = rewritten(before, *mounts, **more)
    assert text == textwrap.dedent(after)
    assert left == []
    assert rewritten(text, *mounts, **more) == (text, []), "a second time there is nothing to do"


def stays(text, *words, **more):
    """Not a byte changes, and one line says why."""
    text = textwrap.dedent(text)
    after, left = rewritten(text, **more)
    assert after == text
    assert len(left) == 1, left
    assert not [word for word in words if word not in left[0]], left[0]


# ----------------------------------------------------------------------------------------------------------- what is declared


def each_module():
    for origin, (login, modules) in tables.ORIGINS.items():
        for name, what in modules.items():
            several = what.modules.values() if isinstance(what, tables.Choice) else [what]
            for module in several:
                if not isinstance(module, tables.Gone):
                    yield pytest.param(login, module, id=f"{origin}.{name}.{module.ours}")


def test_modules_named_for_manual_migration_exist():
    modules = [what for _login, known in tables.ORIGINS.values() for what in known.values()]
    given = [re.findall(r"leasehold\.vault\.(\w+)", what.why) for what in modules if isinstance(what, tables.Gone)]
    named = {name for names in given for name in names}
    assert named
    assert named <= {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}


def words_of(options):
    for option in options.values():
        if option.lift:
            yield from words_of(option.lift)
        elif option.to:
            yield from (option.to, *option.by_method.values())


@pytest.mark.parametrize(("login", "module"), list(each_module()))
def test_what_a_task_becomes_is_what_our_module_takes(login, module):
    spec = specification_of(module.ours)["argument_spec"]
    known = {*spec, *(alias for one in spec.values() for alias in one.get("aliases", ()))}
    assert {*words_of(login), *words_of(module.options), *module.add, *module.defaults} <= known
    for option in module.options.values():
        choices = spec.get(option.to, {}).get("choices")
        assert set(option.values.values()) <= set(choices or option.values.values())


def test_same_named_hashicorp_vault_modules_keep_option_names():
    for name, module in tables.ORIGINS[tables.HASHICORP][1].items():
        if isinstance(module, tables.Module) and module.ours == name:
            for options in (tables.ORIGINS[tables.HASHICORP][0], module.options):
                assert [theirs for theirs, option in options.items() if option.to != theirs] == [], name


@pytest.mark.parametrize("origin", tables.ORIGINS)
def test_the_tables_of_the_guide_are_those_of_the_script(origin, capsys):
    assert rewrite.main(["--tables", origin]) == 0
    assert f"\n{capsys.readouterr().out}\n" in GUIDE.read_text(encoding="utf-8")


def test_the_example_of_the_guide_is_what_the_script_prints(tmp_path, monkeypatch, capsys):
    (printed,) = re.findall(r"```diff\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    body = [line for line in printed.splitlines() if not re.match(r"(---|\+\+\+|@@)", line)]
    (tmp_path / "database.yml").write_text("".join(f"{line[1:]}\n" for line in body if line[:1] != "+"))
    monkeypatch.chdir(tmp_path)
    assert rewrite.main(["database.yml"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == printed.splitlines()
    for line in shown.err.splitlines():
        assert line in GUIDE.read_text(encoding="utf-8")


# -------------------------------------------------------------------------------------------------------------------- tasks


def test_options_are_renamed_and_defaults_added():
    becomes(
        """
        - name: A role
          community.hashi_vault.vault_database_role_create:
            engine_mount_point: db1   # ours
            connection_name: conn
            "role_name": 'app'
            max_ttl: 60
            username: '{{ user }}'
            retry_action: ignore
            creation_statements: ['{{ sql }}']
        - vault_database_role_delete: {role_name: old, token_validate: true}
        - vault_database_roles_list:
        """,
        """
        - name: A role
          leasehold.vault.database_role:
            default_ttl: 3600
            mount: db1   # ours
            db_name: conn
            "name": 'app'
            max_ttl: 60
            auth_username: '{{ user }}'
            creation_statements: ['{{ sql }}']
        - leasehold.vault.database_role: {state: absent, name: old}
        - leasehold.vault.database_role_info:
        """,
    )


def test_only_the_name_changes_for_hashicorp_vault():
    becomes(
        """
        - hosts: localhost
          collections: [hashicorp.vault]
          tasks:
            - database_role: {role_name: app, namespace: admin, state: absent}
            - hashicorp.vault.acl_policy: {name: app, rules: '{{ rules }}', vault_namespace: admin}
            - hashicorp.vault.database_connection:
                connection_name: db
                plugin_options: {max_open_connections: 5}
                namespace: admin
        """,
        """
        - hosts: localhost
          collections: [hashicorp.vault]
          tasks:
            - leasehold.vault.database_role: {role_name: app, namespace: admin, state: absent}
            - leasehold.vault.acl_policy: {name: app, rules: '{{ rules }}', vault_namespace: admin}
            - leasehold.vault.database_connection:
                connection_name: db
                plugin_options: {max_open_connections: 5}
                namespace: admin
        """,
    )


def test_the_default_namespace_of_hashicorp_vault_is_asked_about_once_a_file():
    text, left = rewritten("- hashicorp.vault.acl_policy_info:\n- hashicorp.vault.database_role_info:\n")
    assert text == "- leasehold.vault.acl_policy_info:\n- leasehold.vault.database_role_info:\n"
    assert len(left) == 1
    assert left[0].startswith("play.yml:1: hashicorp.vault.acl_policy_info: namespace: the default there is admin")


def test_one_module_of_theirs_may_be_two_of_ours():
    becomes(
        """
        - hashicorp.vault.database_credential_rotation: {namespace: a, name: x}
        - hashicorp.vault.database_credential_rotation: {namespace: a, name: x, credential_type: role}
        - hashivault_secret_engine: {name: kv, backend: kv, options: {version: 2}}
        - hashivault_secret_engine: {name: database, state: absent}
        """,
        """
        - leasehold.vault.database_root_rotation: {rotate: always, namespace: a, name: x}
        - leasehold.vault.database_static_role_rotation: {namespace: a, name: x}
        - hashivault_secret_engine: {name: kv, backend: kv, options: {version: 2}}
        - leasehold.vault.database_engine: {mount: database, state: absent}
        """,
    )


def test_the_keys_of_a_dictionary_become_options():
    becomes(
        """
        - hashivault_db_secret_engine_config:
            name: db
            connection_details:   # how to get there
                username: admin
                # first one
                password: |2
                    two
                      lines

                connection_url: "postgresql://{{'{{username}}'}}:{{'{{password}}'}}@db/app\\
                  ?sslmode=disable"
            # what follows stays
            verify: false
        - terryhowe.hashivault.hashivault_secret_engine:
            {name: db, backend: database, state: enabled, config: {max_lease_ttl: 2h, force_no_cache: no}}
        - hashivault_secret_engine:
            name: db
            backend: database
            config: {default_lease_ttl: 1h, max_lease_ttl: "2h"}
        - hashivault_secret_engine: {name: db, backend: database, config: {}}
        """,
        """
        - leasehold.vault.database_connection:
            name: db
            # how to get there
            username: admin
            # first one
            password: |2
                two
                  lines

            connection_url: "postgresql://{{'{{username}}'}}:{{'{{password}}'}}@db/app\\
              ?sslmode=disable"
            # what follows stays
            validate_certs: false
        - leasehold.vault.database_engine:
            {mount: db, state: present, max_lease_ttl: 2h, force_no_cache: no}
        - leasehold.vault.database_engine:
            mount: db
            default_lease_ttl: 1h
            max_lease_ttl: "2h"
        - leasehold.vault.database_engine: {mount: db, }
        """,
    )


def test_tasks_are_found_wherever_tasks_can_be():
    text, left = rewritten(
        """
        - hosts: all
          pre_tasks: [{vault_database_roles_list: }]
          handlers:
            - vault_database_roles_list:
          post_tasks:
            - block:
                - vault_database_roles_list:
              rescue:
                - action: {module: community.hashi_vault.vault_database_role_read, role_name: x}
              always:
                - block:
                    - local_action:
                        module: vault_database_role_read
                        role_name: x
          vars:
            tasks:
              - vault_database_roles_list: not a task
        - import_playbook: other.yml
        """
    )
    assert left == []
    assert text.count("leasehold.vault.database_role_info") == 5
    assert "- vault_database_roles_list: not a task" in text
    becomes(
        "- vault_database_role_delete:\n  args:\n    role_name: x\n",
        "- leasehold.vault.database_role:\n  args:\n    state: absent\n    name: x\n",
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("vault_database_role_read: role_name=x", ["play.yml:1: vault_database_role_read: its options are text"]),
        ("vault_database_role_read: '{{ options }}'", ["its options are text"]),
        ("local_action: vault_database_role_read role_name=x", ["local_action", "written as text"]),
        ("vault_database_role_read: {rolename: x}", ["rolename: it is not an option of vault_database_role_read"]),
        ("vault_database_role_read: {'{{ option }}': x}", ["not plain text"]),
        ("vault_database_role_read: {role_name: x, auth_method: azure}", ["auth_method", "cloud"]),
        ("vault_database_role_read: {role_name: x, retries: {total: 3}}", ["retries: a dictionary"]),
        ("vault_database_connection_reset: {connection_name: x}", ["a reset is an act"]),
        ("hashicorp.vault.database_connection: {name: x, namespace: a, state: reset}", ["state: a reset is an act"]),
        ("hashicorp.vault.database_connection: {name: x, plugin_options: {password: y}}", ["plugin_options: a secret"]),
        (
            "hashicorp.vault.database_connection: {name: x, connection_url: host=db user=x}",
            ["connection_url: Vault gives"],
        ),
        ("hashicorp.vault.database_connection: {name: x, connection_url: 'postgresql://me:pw@db'}", ["in clear"]),
        ("hashicorp.vault.database_credential_rotation: {name: x, credential_type: '{{ y }}'}", ["at run time only"]),
        ("hashivault_secret_engine: {name: x, backend: database, state: '{{ y }}'}", ["at run time only"]),
        ("hashivault_db_secret_engine_config: {name: x, connection_details: '{{ y }}'}", ["not written out"]),
        ("hashivault_policy: {name: x, rules_file: y}", ["rules_file: files are not read", "ansible.builtin.file"]),
        ("hashivault_approle_role: {name: x, policies: [a], token_policies: [b]}", ["the same as"]),
        ("community.hashi_vault.vault_write: {path: database/roles/app}", ["path: it belongs to a database engine"]),
        (
            "hashivault_read: {mount_point: database, secret: creds/app}",
            ["mount_point: it belongs to a database engine"],
        ),
        ("hashivault_write: {secret: /database/roles/app}", ["secret: it belongs to a database engine"]),
        ("hashivault_jwt_auth_role: {name: x}", ["not rewritten", "leasehold.vault.auth_role with type: jwt"]),
        ("hashivault_audit: {device_type: file}", ["not rewritten", "leasehold.vault.audit_device"]),
        ("hashivault_auth_method: {method_type: approle}", ["not rewritten", "leasehold.vault.auth_mount"]),
        ('vault_database_role_delete: {"role\\x5fname": x}', ["written in a way that cannot be changed in place"]),
    ],
)
def test_what_cannot_be_rewritten_stays_and_is_reported(task, words):
    stays(f"- {task}\n", *words)


@pytest.mark.parametrize(
    ("task", "line", "module"),
    [
        ("community.hashi_vault.vault_kv2_get: {path: a}", 1, "community.hashi_vault.vault_kv2_get"),
        ("community.hashi_vault.vault_read: {path: aws/creds/a}", 1, "community.hashi_vault.vault_read"),
        ("hashicorp.vault.kv2_secret: {path: a}", 1, "hashicorp.vault.kv2_secret"),
        ("hashivault_read: secret=a", 1, "hashivault_read"),
        ("local_action: hashivault_read secret=a", 1, "hashivault_read"),
        ("hashivault_read: {secret: database/a}", 1, "hashivault_read"),
        ("terryhowe.hashivault.hashivault_pki_role: {name: a}", 1, "terryhowe.hashivault.hashivault_pki_role"),
        ("name: A secret\n  hashivault_secret:\n    secret: a", 2, "hashivault_secret"),
        ("hashivault_secret_engine: {name: kv, backend: kv, options: {version: 2}}", 1, "hashivault_secret_engine"),
    ],
)
def test_unsupported_module_is_kept_and_reported(tmp_path, capsys, task, line, module):
    path = tmp_path / "play.yml"
    path.write_text(f"- {task}\n")
    assert rewrite.main(["--write", str(path)]) == 0, "there is nothing to do"
    assert path.read_text() == f"- {task}\n"
    given, summary = capsys.readouterr().err.splitlines()
    assert given == f"{path}:{line}: {module}: {rewrite.NOTHING_HERE}"
    assert "0 left to do by hand, 1 left as they are, 0 errors" in summary


def test_a_short_name_is_theirs_where_their_collection_is_listed():
    text = "- vault_kv2_get: {path: a}\n"
    for collections, result in (([], 0), (["community.hashi_vault"], 1)):
        file = rewrite.File("play.yml", text, ["database"], collections)
        assert file.rewrite() == text
        assert len(file.stays) == result


def test_modules_of_others_are_not_our_business():
    text = """
    - vault_kv2_get: {path: a}
      register: secret
    - debug: {msg: "{{ lookup('community.hashi_vault.vault_kv2_get', 'a') }} {{ secret.data }}"}
    - database_role: {role_name: ours, or: theirs}
    - acme.tools.vault_read: {path: database/roles/app}
    """
    file = rewrite.File("play.yml", textwrap.dedent(text), ["database"])
    assert file.rewrite() == textwrap.dedent(text)
    assert (file.left, file.stays) == ([], [])


def test_results_are_rewritten_where_they_are_used():
    text, left = rewritten(
        """
        - hosts: localhost
          vars:
            above: "{{ each.results[0].data.max_ttl }}"
            unclear: "{{ found.data.max_ttl }}"
          tasks:
            - vault_database_role_read: {role_name: x}
              register: found
              until: found.data is defined
            - debug: {msg: "{{ found['data']['max_ttl'] }} {{ found.changed }} {{ unfound.data }} {{ found.raw.data.db_name }}"}
            # found.data
            - vault_database_roles_list: {}
              register: listed
            - debug: {msg: '{{ listed.data["keys"] }}'}
              when: "'x' in listed.roles"
              loop: "{{ listed.roles }}"
            - vault_database_connection_read: {connection_name: x}
              register: read
            - debug: {msg: "{{ read.data.connection_details.username }} {{ read['raw'].data.plugin_name }}"}
            - vault_database_role_read: {role_name: "{{ item }}"}
              loop: [a]
              register: each
            - assert: {that: ["each.results[0].data.max_ttl == 3"]}
            - hashivault_policy_list:
              register: policies
            - debug: {msg: "{{ policies.policies }}"}
            - vault_kv2_get: {path: a}
              register: found
            - debug: {msg: "{{ found.data }}"}
        """
    )
    names = "map(attribute='name') | list)"
    for line in (
        'above: "{{ each.results[0].roles[0].max_ttl }}"',
        "until: found.roles[0] is defined",
        "{{ found.roles[0]['max_ttl'] }} {{ found.changed }} {{ unfound.data }} {{ found.roles[0].db_name }}",
        "# found.data",
        f"'{{{{ (listed.roles | {names.replace(chr(39), chr(39) * 2)} }}}}'",
        f"when: \"'x' in (listed.roles | {names}\"",
        f'loop: "{{{{ (listed.roles | {names} }}}}"',
        "{{ read.connections[0].username }} {{ read.connections[0].plugin_name }}",
        "each.results[0].roles[0].max_ttl == 3",
        f"{{{{ (policies.policies | {names} }}}}",
        '{msg: "{{ found.data }}"}',
    ):
        assert line in text
    assert [line.split(":")[1:3] for line in left] == [["5", " vault_database_role_read"]], "it is registered twice"


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ('- debug: {msg: "{{ (found | default({})).data }}"}', "what was data is now roles[0]"),
        ("- debug: {msg: \"{{ found | community.general.json_query('data.keys') }}\"}", "what was data"),
        ("- debug: {msg: \"{{ found.get('data') }}\"}", "what was data"),
        ("- debug: {msg: \"{{ lookup('vars', 'found').data }} \"}", "what was data"),
        ("- debug: {var: found.data}", "what was data"),
        ('- debug: {msg: "{{ found.raw }}"}', "what was raw"),
        ('- set_fact: {copy: "{{ found }}"}', "handed on as a whole"),
        ("- include_tasks: {file: a.yml}\n  vars: {got: '{{ found }}'}", "handed on as a whole"),
        ("- fail:\n  when: \"'Invalid' in found.msg\"", "messages have other words"),
        ('- debug: {msg: "{{ ansible_failed_result.msg }}"}', "messages have other words"),
        ('- debug: {msg: "a\\tb {{ found.data }}"}', ""),
    ],
)
def test_uses_of_results_that_cannot_be_rewritten_are_reported(use, words):
    text, left = rewritten(f"- vault_database_role_read: {{role_name: x}}\n  register: found\n{use}\n")
    assert "must_exist" in text
    assert len(left) == (1 if words else 0), left
    assert not words or (words in left[0] and use in text)


def test_uses_below_an_anchor_are_rewritten_where_all_results_of_that_name_are_of_one_module():
    text = """
        - vault_database_connection_read: {connection_name: x}
          register: found
        - assert: &checks
            that:
              - "'data' in found"
              - "'allowed_roles' in found['data']"
        - MODULE
          register: found
        - assert: *checks
        """
    after, left = rewritten(text.replace("MODULE", "vault_database_connection_read: {connection_name: y}"))
    assert "\"'connections' in found\"" in after
    assert "\"'allowed_roles' in found.connections[0]\"" in after
    assert not left
    after, left = rewritten(text.replace("MODULE", "vault_database_role_read: {role_name: y}"))
    assert "'allowed_roles' in found['data']" in after
    assert len(left) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("read.rc == 0", "read is not failed"),
        ("read['rc'] != 0 and x", "read is failed and x"),
        ("read.rc == 1 or read.rules", "read is failed or read.policies[0].policy"),
        ("read.rc == 12", ""),
        ("read.rc | int == 0", ""),
    ],
)
def test_return_codes_become_tests_unless_the_task_decides_itself_what_a_failure_is(before, after):
    play = (
        "- hashivault_policy_get: {name: x}\n  register: read\n  ignore_errors: true\n- debug:\n  when: "
        + before
        + "\n"
    )
    text, left = rewritten(play)
    assert f"when: {after or before}\n" in text
    assert len(left) == (0 if after else 1)
    text, left = rewritten(play.replace("ignore_errors: true", "failed_when: false"))
    assert "rc" in text
    assert left


def test_keys_of_credentials_with_other_names_are_reported_where_credentials_are_handed_on():
    head = "- vault_database_static_role_get_credentials: {role_name: x}\n  register: found\n"
    text, left = rewritten(head + "- template: {src: a, dest: b}\n  vars: {creds: '{{ found.data }}'}\n")
    assert "found.data }}" in text
    assert len(left) == 1
    text, left = rewritten(head + "- debug: {msg: '{{ found.data.ttl }} {{ found.data.password }}'}\n")
    assert "{{ found.credentials.lease_duration }} {{ found.credentials.password }}" in text
    assert not left


def test_result_keys_without_counterpart_are_reported_wherever_they_are_used():
    text, left = rewritten(
        """
        - hashivault_secret_engine: {name: database}
          register: mounted
          failed_when: "mounted.rc != 0"
        - debug: {msg: "{{ mounted['created'] }} {{ mounted.get('created', false) }} {{ hostvars.localhost.mounted.created }}"}
        - debug: {msg: "{{ mounted.changed }}"}
        - vault_database_static_role_get_credentials: {role_name: "{{ item }}"}
          loop: [a, b]
          register: held
        - debug: {msg: "{{ item.data.ttl }}"}
          loop: "{{ held.results }}"
        - hashicorp.vault.database_static_role_credentials: {name: a, namespace: ""}
          register: one
        - debug: {msg: "{{ one.static_role_credentials.rotation_period }} {{ one['static_role_credentials']['ttl'] }}"}
        - vault_database_role_create: {role_name: a}
          register: made
          when: made.raw is defined
        """
    )
    assert "hashivault_" not in text
    assert "hashi" not in text.replace("hashicorp.vault.database_static_role_credentials", "")
    given = [line.split(":", 2)[1] + line.split(":", 3)[3] for line in left]
    assert [line[:2].strip() for line in given] == ["4", "5", "5", "5", "11", "14", "17"]
    assert "mounted.rc: what was rc is now (none: ask whether the result is failed)" in left[0]
    assert "what was ttl is now lease_duration" in left[4]
    assert "register leasehold.vault.database_static_role_info" in left[5]
    assert "{{ one.credentials['lease_duration'] }}" in text


def test_modules_that_failed_for_a_missing_object_still_do():
    becomes(
        """
        - vault_database_connection_read: {connection_name: db}
        - hashivault_policy_get: {name: app}
        - hashivault_approle_role_get: {name: app}
        - hashicorp.vault.database_role_info: {namespace: "", role_name: app}
          register: found
        - hashicorp.vault.database_role: {namespace: "", role_name: app}
          when: found.roles | length == 0
        """,
        """
        - leasehold.vault.database_connection_info: {must_exist: true, name: db}
        - leasehold.vault.acl_policy_info: {must_exist: true, name: app}
        - leasehold.vault.auth_role_info: {type: approle, must_exist: true, name: app}
        - leasehold.vault.database_role_info: {namespace: "", role_name: app}
          register: found
        - leasehold.vault.database_role: {namespace: "", role_name: app}
          when: found.roles | length == 0
        """,
    )


# ---------------------------------------------------------------------------------------------------------- module_defaults


def test_defaults_of_a_module_follow_it_and_those_of_a_group_are_copied():
    text, left = rewritten(
        """
        - hosts: localhost
          module_defaults:
            # for all
            group/community.hashi_vault.vault:
              username: me # here
              retries: 3
              token_validate: false

            vault_database_role_create:
              default_ttl: 60
          tasks:
            - vault_database_role_create: {role_name: x}
        """
    )
    assert text == textwrap.dedent(
        """
        - hosts: localhost
          module_defaults:
            # for all
            group/leasehold.vault.vault:
              auth_username: me # here
              retries: 3
            group/community.hashi_vault.vault:
              username: me # here
              retries: 3
              token_validate: false

            leasehold.vault.database_role:
              default_ttl: 60
          tasks:
            - leasehold.vault.database_role: {max_ttl: 86400, name: x}
        """
    )
    assert len(left) == 1
    assert left[0].startswith("play.yml:5: group/community.hashi_vault.vault: module_defaults: copied for our modules")
    assert rewritten(text) == (text, []), "a second time there is nothing to do"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            """
            - hosts: localhost
              module_defaults:
                group/hashicorp.vault.vault: {database_mount_path: db, namespace: ""}
              tasks:
                - hashicorp.vault.database_connection_info: {name: db}
            """,
            """
            - hosts: localhost
              module_defaults:
                group/leasehold.vault.vault: {namespace: ""}
                leasehold.vault.database_connection_info: {database_mount_path: db}
                group/hashicorp.vault.vault: {database_mount_path: db, namespace: ""}
              tasks:
                - leasehold.vault.database_connection_info: {name: db}
            """,
        ),
        (
            """
            - hosts: localhost
              module_defaults: {group/community.hashi_vault.vault: {engine_mount_point: db1}}
              tasks:
                - vault_database_connections_list:
            """,
            """
            - hosts: localhost
              module_defaults: {leasehold.vault.database_connection_info: {mount: db1}, group/community.hashi_vault.vault: {engine_mount_point: db1}}
              tasks:
                - leasehold.vault.database_connection_info:
            """,
        ),
    ],
)
def test_group_defaults_of_some_modules_become_defaults_of_those(before, after):
    text, left = rewritten(before)
    assert text == textwrap.dedent(after)
    assert len(left) == 1
    assert "copied for our modules" in left[0]
    assert rewritten(text) == (text, []), "a second time there is nothing to do"


def test_group_defaults_for_tasks_elsewhere_reach_every_module_that_takes_them():
    text, _left = rewritten(
        """
        - hosts: localhost
          module_defaults:
            group/hashicorp.vault.vault:
              url: https://vault:8200
              vault_database_mount_path: db
          roles: [databases]
        """
    )
    head, _line, tail = text.partition("    group/hashicorp.vault.vault:\n")
    assert "group/leasehold.vault.vault:\n      url: https://vault:8200\n    leasehold" in head
    defaults = yaml.safe_load(text)[0]["module_defaults"]
    assert defaults["leasehold.vault.database_connection"] == {"vault_database_mount_path": "db"}
    assert {"leasehold.vault.database_static_role", "leasehold.vault.database_credentials"} <= set(defaults)
    assert "leasehold.vault.database_role" not in defaults, "it takes mount_path there"
    assert "vault_database_mount_path: db" in tail


def test_module_defaults_as_a_list_are_rewritten_and_those_from_a_variable_reported():
    text, left = rewritten(
        """
        - hosts: a
          module_defaults:
            - {vault_database_role_read: {engine_mount_point: db}}
            - "{{ more }}"
        """
    )
    assert "- {leasehold.vault.database_role_info: {mount: db}}" in text
    assert [line.split(":")[1:3] for line in left] == [["5", " module_defaults"]]


def test_a_task_whose_defaults_stay_stays():
    play = """
    - hosts: localhost
      module_defaults:
        vault_database_role_create: {engine_mount_point: db1}
      tasks:
        - vault_database_role_create: {role_name: x}
        - vault_database_role_delete: {role_name: x}
    """
    text, left = rewritten(play)
    assert "vault_database_role_create: {engine_mount_point: db1}" in text
    assert "- vault_database_role_create: {role_name: x}" in text
    assert "leasehold.vault.database_role: {state: absent, name: x}" in text
    assert "would hold for vault_database_role_delete too" in left[0]
    assert "its module_defaults are left to do by hand" in left[1]

    text, left = rewritten(
        play.replace("vault_database_role_create: {engine", "group/community.hashi_vault.vault: {region")
    )
    assert "leasehold" not in text
    assert len(left) == 3


# ------------------------------------------------------------------------------------------------------------------ lookups


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("lookup('community.hashi_vault.hashi_vault', 'database/creds/app').username", "lookup('{d}', 'app').username"),
        ("lookup('hashi_vault', 'secret=database/creds/app:password')", "lookup('{d}', 'app').password"),
        ("lookup('hashi_vault', 'database/static-creds/app:username')", "lookup('{s}', 'app').username"),
        ("query('hashi_vault', 'database/creds/app', as='dict') | first", "query('{d}', 'app') | first"),
        ("lookup('community.hashi_vault.vault_read', 'database/static-creds/app', url=address).data.password",
         "lookup('{s}', 'app', url=address).password"),
        ("lookup('community.hashi_vault.vault_read','team/db/creds/app', auth_method='jwt', role_id='r' )['data']",
         "lookup('{d}', 'app', mount='team/db', auth_method='jwt', auth_role='r')"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", ['"%s"', "'%s'", "%s", "|\n      %s\n", '"{%% if x %%}%s{%% endif %%}"'])
def test_a_lookup_by_path_becomes_one_by_role(before, after, style):
    after = after.format(d="leasehold.vault.database_credentials", s="leasehold.vault.database_static_credentials")

    def written(expression):
        doubled = expression.replace("'", "''") if style.startswith("'") else expression
        return f"- debug:\n    msg: {style % f'x {{{{ {doubled} }}}}'}\n"

    becomes(written(before), written(after), "team/db")


def test_a_lookup_in_escaped_quotes():
    becomes(
        r'- debug: {msg: "{{ lookup(\"hashi_vault\", \"database/creds/app\") }}"}' + "\n",
        r'- debug: {msg: "{{ lookup(\"leasehold.vault.database_credentials\", \"app\") }}"}' + "\n",
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("lookup('hashi_vault', 'secret=database/creds/app url=https://v')", "more than a role's credentials"),
        ("lookup('hashi_vault', 'database/creds/' ~ role)", "arguments are not plain"),
        ("lookup('community.hashi_vault.vault_read', 'database/creds/app')", "without data around them"),
        ("query('hashi_vault', 'database/creds/app:password')", "one field cannot be asked for"),
        ("lookup('hashi_vault', 'database/creds/app', auth_method='gcp')", "auth_method: there is no login"),
        ("lookup('hashi_vault', 'database/static-creds/app:ttl')", "what was ttl is now lease_duration"),
        (
            "lookup('community.hashi_vault.vault_read', 'database/static-creds/app')['data']['rotation_period']",
            "database_static_role_info",
        ),
        ("lookup('hashi_vault', 'database/creds/app', profile='x')", "profile: there is no such option"),
    ],
)
def test_other_lookups_of_credentials_are_reported(expression, words):
    stays(f'- debug:\n    msg: "{{{{ {expression} }}}}"\n', "play.yml:2: ", words)


@pytest.mark.parametrize(
    "line",
    ["msg: x # lookup('hashi_vault', 'database/creds/app')", "msg: !unsafe \"{{ lookup('hashi_vault', 'database/creds/app') }}\"",
     "msg: \"{{ lookup('hashi_vault', 'aws/creds/app') }}\""],
)  # fmt: skip
def test_what_is_not_a_lookup_of_ours_is_not_touched(line):
    text = f"- debug:\n    {line}\n"
    assert rewritten(text) == (text, [])


# ------------------------------------------------------------------------------------------------------------ hostile files


def test_rest_of_file_is_kept_byte_for_byte(tmp_path):
    before = (
        "\ufeff%YAML 1.1\n---   # first\n"
        "- name: 'Ünïcödé \U0001f600'  # face\n  vault_database_role_delete :\n      role_name  :   &name  'x'\n\n"
        "- set_fact: {tabs: \"a\tb\", unsafe: !unsafe '{{ x }}', again: *name}\n...\n--- # second\n"
        "- !!map\n  vault_database_role_read: !!map {role_name: &a x,}\n- {vault_database_role_read: {role_name: *a}}\n"
        "- vault_database_role_create: {? role_name : folded\n      text\n    , connection_name: c,\n"
        '      creation_statements: ["a\n\n        b"], default_ttl: 1, max_ttl: 2}\n  when: x   \n'
        "- >\n  no task\n"
    )
    after = (
        before.replace("vault_database_role_delete :", "leasehold.vault.database_role :")
        .replace("role_name  :   &name", "state: absent\n      name  :   &name")
        .replace("{role_name: ", "{must_exist: true, role_name: ")
        .replace("vault_database_role_read", "leasehold.vault.database_role_info")
        .replace("vault_database_role_create", "leasehold.vault.database_role")
        .replace("connection_name", "db_name")
        .replace("role_name", "name")
    )
    for ending in ("\n", "\r\n"):
        path = tmp_path / "play.yml"
        path.write_bytes(before.replace("\n", ending).encode())
        assert rewrite.main(["--write", str(path)]) == 0
        assert path.read_bytes() == after.replace("\n", ending).encode()
        yaml.SafeLoader.add_constructor("!unsafe", lambda loader, node: node.value)
        assert len(list(yaml.safe_load_all(path.read_text(encoding="utf-8-sig")))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "- vault_database_role_read: &options {role_name: x}\n- vault_database_role_read: *options\n",
        "- vault_database_role_read: {<<: &login {username: x}, role_name: x}\n",
        "- &task\n  vault_database_role_read: {role_name: x}\n- *task\n",
        "- vars: &login {username: x}\n- vault_database_role_read:\n    <<: *login\n    role_name: x\n",
    ],
)
def test_what_an_anchor_shares_is_not_changed_in_one_place_only(text):
    after, left = rewritten(text)
    assert after == text
    assert left
    assert all("anchor" in given for given in left)


def test_unreadable_file_is_reported_and_kept(tmp_path, capsys):
    bad = tmp_path / "bad.yml"
    bad.write_text("- vault_database_role_read: {role_name: x\n")
    latin = tmp_path / "latin.yml"
    latin.write_bytes("- vault_database_role_read: {role_name: ä}\n".encode("latin-1"))
    good = tmp_path / "good.yml"
    good.write_text("- vault_database_role_read: {role_name: x}\n")
    assert rewrite.main(["--write", str(tmp_path), str(tmp_path / "none.yml")]) == 2
    given = capsys.readouterr().err
    assert "bad.yml:2: it is not YAML" in given
    assert "latin.yml: it is not UTF-8" in given
    assert "none.yml: No such file" in given
    assert good.read_text() == "- leasehold.vault.database_role_info: {must_exist: true, name: x}\n"
    assert bad.read_text() == "- vault_database_role_read: {role_name: x\n"


# ---------------------------------------------------------------------------------------------------------------- directories


def test_a_directory_is_searched_shown_and_only_then_written(tmp_path, capsys):
    role = tmp_path / "roles" / "app"
    for name in ("tasks", "meta", ".git"):
        (role / name).mkdir(parents=True)
    (role / "meta" / "main.yml").write_text("collections: [hashicorp.vault]\n")
    tasks = role / "tasks" / "main.yml"
    tasks.write_text("- database_role: {role_name: x, namespace: a, state: absent}\n")
    tasks.chmod(0o640)
    (role / ".git" / "x.yml").write_text("- vault_database_roles_list:\n")
    (tmp_path / "linked.yml").symlink_to(tasks)
    untouched = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert rewrite.main([str(tmp_path / "roles")]) == 0
    assert {path: path.read_bytes() for path in untouched} == untouched
    shown = capsys.readouterr()
    assert "-- database_role: {role_name: x" in shown.out
    assert "+- leasehold.vault.database_role: {role_name: x" in shown.out
    assert (
        "1 places in 1 files to rewrite (with --write), 0 left to do by hand, 0 left as they are, 0 errors" in shown.err
    )

    assert rewrite.main(["--write", str(tmp_path / "roles"), str(tmp_path / "linked.yml")]) == 0
    assert capsys.readouterr().out == ""
    assert tasks.read_text() == "- leasehold.vault.database_role: {role_name: x, namespace: a, state: absent}\n"
    assert stat.S_IMODE(tasks.stat().st_mode) == 0o640
    assert (tmp_path / "linked.yml").is_symlink()
    assert list(tasks.parent.iterdir()) == [tasks]


def test_nothing_named_is_a_mistake(capsys):
    with pytest.raises(SystemExit) as ended:
        rewrite.main([])
    assert ended.value.code == 2
    assert "Name files or directories" in capsys.readouterr().err


def test_environment_that_is_not_read_here_is_named_once_a_file():
    task = """
        - {module}: {{connection_name: db}}
          environment:
            ANSIBLE_HASHI_VAULT_ADDR: https://vault
            ANSIBLE_HASHI_VAULT_TOKEN: "{{{{ token }}}}"
            VAULT_CACERT: /ca.pem
        """
    text, left = rewritten(task.format(module="vault_database_connection_read"))
    assert "leasehold.vault.database_connection_info" in text
    (line,) = [one for one in left if "environment" in one]
    assert line.startswith(
        "play.yml:4: environment: ANSIBLE_HASHI_VAULT_ADDR, ANSIBLE_HASHI_VAULT_TOKEN: not read here; "
    )
    assert rewritten(task.format(module="community.hashi_vault.vault_pki_generate_root"))[1] == []
