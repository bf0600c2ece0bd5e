# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._resources.policy_language import (
    checked,
    normal,
    read,
    unknown_words,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.access import access_document

from ...conftest import ROOT

READ = 'path "a" { capabilities = ["read"] }'


# -- two texts that mean the same -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        'path "a" {\n  capabilities = ["read",]\n}\n',
        'path "a"{capabilities=["read"]}',
        '# why\npath "a" { // who\n capabilities = [ /* what */ "read" ] # when\n}',
        'path "a" { capabilities = ["read", "read"] }',
        '"path" "a" { "capabilities" = ["read"] }',
        'path a { capabilities = ["read"] }',
        'path "/a" { capabilities = ["read"] }',
        'path "\\u0061" { capabilities = ["read"] }',
        'path "a" {\r\n\tcapabilities = ["read"]\r\n}\r\n',
        'name = "app"\npath "a" { capabilities = ["read"] }',
        '{"path": {"a": {"capabilities": ["read"]}}}',
        '{"path": [{"/a": {"capabilities": ["read"]}}], "name": "app"}',
    ],
)
def test_equivalent_policies_compare_equal(same):
    assert normal(same) == normal(READ)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('path "a" { capabilities = ["read", "list"] }', 'path "a" { capabilities = ["list", "read"] }'),
        (f'{READ} path "b" {{}}', f'path "b" {{}} {READ}'),
        ('path "a" { min_wrapping_ttl = "1h" }', 'path "a" { min_wrapping_ttl = 3600 }'),
        (
            'path "a" { allowed_parameters = { "Ttl" = ["2h", "1h"] "x" = [] } }',
            'path "a" { allowed_parameters { "x" = [] }\n }'.replace('"x" = []', '"x" = [], "ttl" = ["1h", "2h"]'),
        ),
        ('path "a" { required_parameters = ["x", "y"] }', 'path "a" { required_parameters = ["y", "x"] }'),
        ('path "a" { comment = <<END\nsaid\nEND\n}', 'path "a" { comment = <<-OTHER\nsaid\n  OTHER\n}'),
        (
            'path "a" { control_group { factor "one" { identity { approvals = 1 } } } }',
            'path "a" { control_group = { factor = { one = { identity = { approvals = 1 } } } } }',
        ),
    ],
)
def test_order_and_format_are_ignored(one, other):
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    "different",
    [
        'path "b" { capabilities = ["read"] }',
        'path "A" { capabilities = ["read"] }',
        'path "a/" { capabilities = ["read"] }',
        'path "a" { capabilities = ["list"] }',
        'path "a" { capabilities = ["read", "list"] }',
        'path "a" { capabilities = ["read"] max_wrapping_ttl = 1 }',
        'path "a" { capabilities = ["read"] allowed_parameters = {} }',
        f"{READ} {READ}",
        f'{READ} path "b" {{}}',
        '# path "a" { capabilities = ["read"] }',
        'path "a" { capabilities = ["read"] # }',
    ],
)
def test_different_policies_compare_different(different):
    assert normal(different) != normal(READ)


def test_a_value_and_its_text_are_not_the_same():
    parameters = 'path "a" {{ denied_parameters = {{ x = [{}] }} }}'
    assert len({normal(parameters.format(value)) for value in ("1", '"1"', "true", '"true"', "1.5")}) == 5


def test_syntax_character_in_string_is_literal():
    ((path, _rules),) = read('path "a } # // /* \\" {" { capabilities = ["read"] }')
    assert path == 'a } # // /* " {'


def test_unparsable_policy_compares_as_text():
    assert normal("path {{{ \n") == "path {{{"


def test_the_normal_form_is_a_policy():
    assert normal(normal(f'path "b" {{}}\n{READ}')) == normal(f'{READ} path "b" {{}}')
    assert checked(normal(READ))


def test_a_map_becomes_the_json_form():
    document = {"path": {"a": {"capabilities": ["read"]}}}
    assert json.loads(checked(document)) == document


# -- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('path "a" { capabilities = ["read"]', "line 1: the end stands where a name should be"),
        ('path "a"\n{ capabilities = [read] }', "line 2: 'read' stands where a value"),
        ("path 'a' { capabilities = ['read'] }", "line 1: 'a' is not understood"),
        ('path "a" { capabilities = ["read" }', "'}' stands where a value"),
        ('path "a" { capabilities ["read"] }', "'[' stands where { or = after capabilities"),
        ('path "a" { max_wrapping_ttl = 1h }', "1h is not understood"),
        ('path "a" { max_wrapping_ttl = "soon" }', "'soon' is not a duration"),
        ('path "a" { capabilities = "read" }', "capabilities is a list"),
        ('path "a" { allowed_parameters = ["x"] }', "allowed_parameters is a map"),
        ('path "a" { allowed_parameters = { x = "1" } }', "x is a list"),
        ('path "a\\x41" {}', "escape"),
        ('pth "a" {}', "holds paths, and no pth"),
        ('{"pth": {}}', "holds paths, and no pth"),
        ('{"path": {"a": {"capabilities": ["read"]}}', "ends or breaks at line 1"),
        ('{"path": {"a": []}}', "the JSON form is"),
        ('{"path": "a"}', "the JSON form is"),
        ("[]", "'[' stands where a name"),
        # Vault takes these, and does something else.
        ('path { capabilities = ["read"] }', "with one name"),
        ('path "a" "b" { capabilities = ["read"] }', "with one name (path a b)"),
        ('path "a" { capabilities = ["deny", "read"] }', "deny stands beside other capabilities"),
        ('path "a" { capabilities = ["read"]\n capabilities = ["list"] }', "capabilities is given twice"),
        ('{"path": {"a": {}, "a": {}}}', "a is given twice"),
        ('path "a*b" { capabilities = ["read"] }', "at the end only"),
        ('path "a/{{username}}" { capabilities = ["read"] }', "{{username}} does not begin with identity."),
    ],
)
def test_invalid_policy_is_refused_with_explanation(policy, words):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        checked(policy)
    assert words in str(caught.value)


@pytest.mark.parametrize("path", ["a/*", "+/a", "a/+/b", "*", "", "a/{{identity.entity.id}}/*", "a//b"])
def test_wildcards_and_templates_are_left_alone(path):
    policy = f'path "{path}" {{ capabilities = ["read"] }}'
    assert checked(policy) == policy


def test_unknown_keywords_are_reported():
    assert unknown_words('path "a" { capabilities = ["reed", "read", "READ"]\n capability = [] }') == [
        "READ",
        "reed",
        "capability",
    ]
    assert unknown_words(READ) == []


# -- a real server agrees ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        READ,
        "# nothing yet",
        'path "a" {}',
        'path a { capabilities = ["read",] }',
        '"path" "a" { "capabilities" = ["read"], max_wrapping_ttl = 10 }',
        'path "a" { comment = <<-END\n  said\n  END\n capabilities = ["read"] }',
        '{"path": [{"a": {"capabilities": ["read"]}}]}',
        'path "a" { capabilities = ["read"]',
        'path "a" { capabilities = [read] }',
        "path 'a' {}",
        'path "a" { max_wrapping_ttl = 1h }',
        'path "a" { capabilities = "read" }',
        'path "a" { allowed_parameters = { x = "1" } }',
        'pth "a" {}',
        '{"path": {"a": []}}',
        "[]",
    ],
)
def test_server_and_parser_agree(real_vault, policy):
    def taken(judge):
        try:
            judge()
        except (ValueError, Problem):
            return False
        return True

    path = f"sys/policies/acl/{real_vault.mount}"
    assert taken(lambda: checked(policy)) == taken(lambda: real_vault.client.write(path, {"policy": policy}))


# -- what we write ourselves -------------------------------------------------------------------------------------------------

HCL = re.compile(r"^```hcl\n(.*?)^```", re.DOTALL | re.MULTILINE)


def written():
    """Every policy in the documentation, and a generated one."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")]
    for page in pages:
        for number, found in enumerate(HCL.finditer(page.read_text())):
            if found[1].lstrip().startswith('path "'):
                yield pytest.param(found[1], id=f"{page.relative_to(ROOT)}-{number}")
    entry = {"name": "app", "roles": ["app", "other"], "static_roles": ["reports"], "auth": {"approle": {}}}
    (application,) = access_document([entry])
    yield pytest.param(application["policy"]["policy"], id="app_access")


@pytest.mark.parametrize("text", list(written()))
def test_own_policy_has_no_duplicates_and_no_template(text):
    """Vault 2.1 refuses duplicate attributes; newer ones refuse wildcards in what a template renders to."""
    policy = checked(text)  # an attribute that is given twice is refused here
    assert not [path for path, _rules in read(policy) if "{{" in path]
