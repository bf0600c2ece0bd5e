# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The SQL that creates, renews and revokes a user, as PL/pgSQL blocks.

Vault copies names and passwords into SQL as they are, and a login may have chosen a part of the name.  So they are dollar-quoted, with a
tag that is longer than any name can be in PostgreSQL, and quoted again by ``format()`` where they are used.

A revocation has two halves.  The first ends the access (no login, no membership) and commits that: whatever fails afterwards, the user
stays out.  The second ends the sessions, gives the user's objects to the heir, and drops the user.  The *heir* is the role that owns
these objects afterwards: ``reassign_owned_to``, else the group.  A user that cannot be dropped is *parked*: it stays, without login,
sessions and memberships, and its comment says why (with ``revocation: strict`` that is an error instead).

``_postgresql/functions.py`` builds its functions from these texts.
"""

from __future__ import annotations

_TAG = "$a_tag_of_more_than_63_bytes_which_no_name_of_a_user_can_hold_is_never_closed_by_one$"
_BLOCK = "$a_block_is_quoted_with_more_than_63_bytes_too_so_that_no_name_in_it_is_able_to_close_it$"


def quoted(text: str) -> str:
    """A name, or a placeholder that Vault replaces by one, as a literal."""
    return f"{_TAG}{text}{_TAG}"


NAME, PASSWORD = quoted("{{name}}"), quoted("{{password}}")
EXPIRATION = "'{{expiration}}'"
COMMIT = "COMMIT AND CHAIN"
"""Between the halves.  Vault runs all revocation statements of a role in one transaction; this ends it and begins the next."""

# What a user's login could have put into its name must not be taken for one of Vault's own placeholders in another run.
CREATE = """\
  IF strpos(u, repeat('{', 2)) > 0 OR strpos(u, secret) > 0 OR strpos(u, until) > 0 THEN
    RAISE EXCEPTION 'leasehold: a name must not hold a placeholder of Vault' USING ERRCODE = 'invalid_name';
  END IF;
  EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L VALID UNTIL %L', u, secret, until);
  EXECUTE format('GRANT %I TO %I', in_role, u) || CASE WHEN v16 AND NOT acts THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
"""

RENEW = """\
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = u AND NOT rolcanlogin) THEN
    RAISE EXCEPTION 'leasehold: the access of % has ended', quote_ident(u) USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM set_config('lock_timeout', '1s', true);
  EXECUTE format('ALTER ROLE %I VALID UNTIL %L', u, until);
"""

_GRANT_USER = (
    "EXECUTE format('GRANT %I TO CURRENT_USER', u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;"
)

END_ACCESS = f"""\
  PERFORM set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '100ms', true);
  FOR attempt IN 1..20 LOOP
    BEGIN
      EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL VALID UNTIL %L', u, '-infinity');
      EXIT;
    EXCEPTION WHEN OTHERS THEN
      -- A session that is changing this user's password holds its row. Before PostgreSQL 15 it can be the session of another user.
      {_GRANT_USER}
      PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.usesysid = id;
      IF attempt > 3 AND NOT v16 THEN
        EXECUTE 'GRANT pg_signal_backend TO CURRENT_USER';
        PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity AS a JOIN pg_auth_members AS m ON m.member = a.usesysid
          WHERE m.roleid = id AND a.pid <> pg_backend_pid();
      END IF;
      PERFORM pg_stat_clear_snapshot();
    END;
  END LOOP;
  IF (SELECT rolcanlogin FROM pg_roles WHERE oid = id) THEN
    EXECUTE format('COMMENT ON ROLE %I IS %L', u, 'leasehold: ending, a transaction holds its row');
  END IF;
  FOR other IN
    SELECT g.rolname AS held, m.rolname AS member, b.rolname AS grantor
      FROM pg_auth_members AS a JOIN pg_roles AS g ON g.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
      LEFT JOIN pg_roles AS b ON b.oid = a.grantor
     WHERE a.member = id OR (a.roleid = id AND m.rolname <> current_user AND NOT v16)
  LOOP
    BEGIN
      EXECUTE format('REVOKE %I FROM %I', other.held, other.member) || CASE WHEN v16 THEN format(' GRANTED BY %I CASCADE', other.grantor) ELSE '' END;
    EXCEPTION WHEN OTHERS THEN
      NULL;  -- granted by somebody else; without a login it is worth nothing
    END;
  END LOOP;
"""

# Code runs with its owner's rights. What the user left must not run with those of the heir.
HAND_OVER = """\
    FOR other IN
      SELECT format('ALTER ROUTINE %s SECURITY INVOKER', p.oid::regprocedure) AS statement FROM pg_proc AS p
       WHERE p.proowner = id AND p.prosecdef
      UNION ALL
      SELECT format('DROP RULE %I ON %s', r.rulename, c.oid::regclass) FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
       WHERE c.relowner = id AND r.ev_type <> '1'
      UNION ALL
      SELECT format('ALTER VIEW %s SET (security_invoker = true)', c.oid::regclass) FROM pg_class AS c
       WHERE c.relowner = id AND c.relkind = 'v' AND current_setting('server_version_num')::int >= 150000
      UNION ALL
      SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', c.oid::regclass, coalesce(quote_ident(g.rolname), 'PUBLIC'))
        FROM pg_class AS c LEFT JOIN pg_attribute AS t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
       CROSS JOIN LATERAL (SELECT grantee FROM aclexplode(c.relacl) UNION ALL SELECT grantee FROM aclexplode(t.attacl)) AS a
        LEFT JOIN pg_roles AS g ON g.oid = a.grantee
       WHERE c.relowner = id AND c.relkind = 'v' AND a.grantee <> id AND current_setting('server_version_num')::int < 150000
    LOOP
      EXECUTE other.statement;
    END LOOP;
    EXECUTE format('REASSIGN OWNED BY %I TO %I', u, heir);
    EXECUTE format('DROP OWNED BY %I', u);
"""

REMOVE = f"""\
  -- A login that began before the access ended shows only when it is through: look until there has been none for a while.
  FOR attempt IN 1..500 LOOP
    PERFORM pg_stat_clear_snapshot();
    IF EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = id) THEN
      IF NOT granted THEN
        {_GRANT_USER}
        granted := true;
      END IF;
      PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.usesysid = id;
      quiet := 10;
    END IF;
    EXIT WHEN quiet = 0;
    quiet := quiet - 1;
    PERFORM pg_sleep(0.01);
  END LOOP;
  IF (SELECT rolcanlogin FROM pg_roles WHERE oid = id) THEN
    RAISE EXCEPTION 'leasehold: % can still log in, because a transaction holds its row; only a superuser can end one that is prepared',
      quote_ident(u) USING ERRCODE = 'lock_not_available';
  END IF;
  IF NOT pg_has_role(current_user, heir, 'MEMBER WITH ADMIN OPTION') AND v16 THEN
    RAISE EXCEPTION 'leasehold: % needs ADMIN OPTION on % to give it what users own', quote_ident(current_user), quote_ident(heir)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM set_config('lock_timeout', '1s', true);
  IF EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = id AND classid <> 'pg_auth_members'::regclass) THEN
    {_GRANT_USER}
    EXECUTE format('GRANT %I TO %I', heir, u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    BEGIN
{HAND_OVER}\
    EXCEPTION WHEN query_canceled OR OTHERS THEN
      IF strictly THEN
        RAISE;
      END IF;
      reason := SQLERRM;
    END;
    EXECUTE format('REVOKE %I FROM %I', heir, u);
  END IF;
  BEGIN
    EXECUTE format('DROP ROLE %I', u);
  EXCEPTION WHEN query_canceled OR OTHERS THEN
    IF strictly THEN
      RAISE;
    END IF;
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    reason := coalesce(reason, concat_ws(': ', SQLERRM, nullif(detail, '')));
    EXECUTE format('COMMENT ON ROLE %I IS %L', u, 'leasehold: parked, ' || reason);
    EXECUTE format('REVOKE %I FROM CURRENT_USER', u);
  END;
  IF EXISTS (SELECT FROM pg_stat_activity AS a WHERE usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = a.usesysid)) THEN
    BEGIN
      IF NOT v16 THEN
        EXECUTE 'GRANT pg_signal_backend TO CURRENT_USER';
      END IF;
      PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity AS a
        WHERE usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = a.usesysid);
    EXCEPTION WHEN OTHERS THEN
      NULL;  -- from PostgreSQL 16 on somebody with pg_signal_backend has to do it
    END;
  END IF;
"""


def creation(group: str, acts_as_group: bool = False) -> str:
    declared = {"u name": NAME, "secret text": PASSWORD, "until text": EXPIRATION, "in_role name": group}
    acting = "  EXECUTE format('ALTER ROLE %I SET role TO %I', u, in_role);\n" if acts_as_group else ""
    return _block({**declared, "acts boolean": str(acts_as_group).lower(), **_VERSION}, _SAFE + CREATE + acting)


def renewal() -> str:
    return _block({"u name": NAME, "until text": EXPIRATION}, _SAFE + RENEW)


def end_access(name: str = NAME) -> str:
    return _block({"u name": name, "id oid": "", **_VERSION, "other record": ""}, _SAFE + _FOUND + END_ACCESS)


def end_access_by_function() -> str:
    """Does without the function while ``postgresql_access`` has not been run again: the functions of 1.0.0 have none of the name."""
    call = f"""\
  IF pg_catalog.to_regprocedure('leasehold.end_access(text)') IS NOT NULL THEN
    PERFORM leasehold.end_access({NAME});
  END IF;
"""
    return f"DO {_BLOCK}\nBEGIN\n{call}END\n{_BLOCK}"


def removal(heir: str, strict: bool, name: str = NAME) -> str:
    return _block({"u name": name, "id oid": "", **_removing(heir, strict)}, _SAFE + _FOUND + REMOVE)


def revocation(heir: str, strict: bool, name: str) -> str:
    """Both halves in one transaction, run by the DBA and not by Vault."""
    return _block({"u name": name, "id oid": "", **_removing(heir, strict)}, _SAFE + _FOUND + END_ACCESS + REMOVE)


def hand_over(heir: str, name: str) -> str:
    """What the others do not reach: the user's objects in another database, where this is run."""
    return _block({"u name": name, "id oid": "", "heir name": heir, "other record": ""}, _SAFE + _FOUND + HAND_OVER)


_SAFE = "  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);\n"  # nobody else's functions and operators
_FOUND = """\
  id := (SELECT oid FROM pg_roles WHERE rolname = u);
  IF id IS NULL THEN
    RETURN;  -- dropped by hand: an error would strand the lease
  END IF;
"""
_VERSION = {"v16 boolean": "pg_catalog.current_setting('server_version_num')::int >= 160000"}


def _removing(heir: str, strict: bool) -> dict[str, str]:
    return {
        "heir name": heir,
        "strictly boolean": str(strict).lower(),
        **_VERSION,
        "granted boolean": "false",
        "quiet int": "0",
        "reason text": "",
        "detail text": "",
        "other record": "",
    }


def _block(declared: dict[str, str], body: str) -> str:
    lines = "".join(f"  {variable}{' := ' if value else ''}{value};\n" for variable, value in declared.items())
    return f"DO {_BLOCK}\nDECLARE\n{lines}BEGIN\n{body}END\n{_BLOCK}"
