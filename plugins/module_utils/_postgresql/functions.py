# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The functions by which users are made without CREATEROLE, for PostgreSQL 15 and older."""

from __future__ import annotations

import hashlib

CALLED_BY_ADMIN = (
    "leasehold.issue(text,text,timestamp with time zone,text)",
    "leasehold.renew(text,timestamp with time zone)",
    "leasehold.end_access(text)",
    "leasehold.revoke(text,text)",
    "leasehold.revoke(text,text,boolean)",
)
"""What the admin role may call; the server writes them like that."""

FUNCTIONS = """\
-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- The life of a user as functions, so that the admin role needs no CREATEROLE.
--
--   leasehold.issue(name, password, until, in_role)    a user, member of the group in_role
--   leasehold.renew(name, until)                       the same user, for longer
--   leasehold.end_access(name)                         it has no login and no membership any more
--   leasehold.revoke(name, reassign_to)                its sessions end, its objects go to reassign_to, it is gone; what cannot be
--                                                      dropped stays without access, and its comment says why
--   leasehold.revoke(name, reassign_to, strictly)      the same; strictly, what cannot be dropped is an error
--
-- They run as leasehold_definer, who may create users (before PostgreSQL 16: change nearly any user). So each of them
-- first refuses what is not its business. Run this file as leasehold_definer. What the functions do is, line by line, what
-- plugins/module_utils/_core/user_sql.py does without them.

-- What users leave can go to an ordinary role that leasehold_definer may grant and that was let into this very database.
CREATE OR REPLACE FUNCTION leasehold.is_heir(candidate text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $f$
  SELECT EXISTS (
    SELECT FROM pg_roles AS g
      JOIN pg_auth_members AS m ON m.roleid = g.oid AND m.admin_option
      JOIN pg_roles AS d ON d.oid = m.member AND d.rolname = 'leasehold_definer'
     WHERE g.rolname = candidate
       AND NOT (g.rolsuper OR g.rolcreaterole OR g.rolcreatedb OR g.rolreplication OR g.rolbypassrls)
       AND EXISTS (SELECT FROM pg_database AS b, aclexplode(b.datacl) AS a
                    WHERE b.datname = current_database() AND a.grantee = g.oid AND a.privilege_type = 'CONNECT'))
$f$;

-- And nobody can log in as a group of ours, which is not the owner of the database.
CREATE OR REPLACE FUNCTION leasehold.is_group(candidate text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $f$
  SELECT leasehold.is_heir(candidate) AND EXISTS (
    SELECT FROM pg_roles AS g JOIN pg_database AS b ON b.datname = current_database() AND b.datdba <> g.oid
     WHERE g.rolname = candidate AND NOT g.rolcanlogin)
$f$;

CREATE OR REPLACE FUNCTION leasehold.check_group(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF leasehold.is_group(candidate) IS NOT TRUE THEN
    RAISE EXCEPTION 'leasehold: % is not a group that this database hands out', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

CREATE OR REPLACE FUNCTION leasehold.check_heir(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF leasehold.is_heir(candidate) IS NOT TRUE THEN
    RAISE EXCEPTION 'leasehold: % is not a role that leasehold_definer may give what users own', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

-- Any character may be in a name, because a login may have chosen a part of it.
CREATE OR REPLACE FUNCTION leasehold.check_name(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF candidate IS NULL OR candidate NOT LIKE 'v-_%' OR octet_length(candidate) > 63 THEN
    RAISE EXCEPTION 'leasehold: % is not a name of the form v-..., of at most 63 bytes', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

-- A user is ours when it has no attribute beyond LOGIN and is a member of our groups, or its access has ended. Before PostgreSQL 15
-- a user may grant itself to another: that other's memberships in such users do not count, or anybody could stop its revocation.
CREATE OR REPLACE FUNCTION leasehold.check_user(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF (SELECT NOT (u.rolsuper OR u.rolcreaterole OR u.rolcreatedb OR u.rolreplication OR u.rolbypassrls)
             AND coalesce(bool_and(leasehold.is_group(g.rolname)) FILTER (
                   WHERE g.rolname IS NOT NULL AND NOT (g.rolname LIKE 'v-_%' AND g.rolvaliduntil IS NOT NULL AND NOT (
                     g.rolsuper OR g.rolcreaterole OR g.rolcreatedb OR g.rolreplication OR g.rolbypassrls))),
                   NOT u.rolcanlogin AND u.rolvaliduntil = '-infinity' OR shobj_description(u.oid, 'pg_authid') LIKE 'leasehold: ending%')
        FROM pg_roles AS u
        LEFT JOIN pg_auth_members AS m ON m.member = u.oid
        LEFT JOIN pg_roles AS g ON g.oid = m.roleid
       WHERE u.rolname = candidate
       GROUP BY u.oid, u.rolsuper, u.rolcreaterole, u.rolcreatedb, u.rolreplication, u.rolbypassrls, u.rolcanlogin, u.rolvaliduntil) IS NOT TRUE THEN
    RAISE EXCEPTION 'leasehold: % is not a user made by leasehold.issue', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

CREATE OR REPLACE FUNCTION leasehold.issue(name text, password text, until timestamptz, in_role text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  u text := name;
  secret text := password;
  until text := issue.until;
  acts boolean := false;
  v16 boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
  PERFORM leasehold.check_name(name);
  PERFORM leasehold.check_group(in_role);
  IF secret IS NULL OR until IS NULL THEN
    RAISE EXCEPTION 'leasehold: a user needs a password and an end' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF strpos(u, repeat('{', 2)) > 0 OR strpos(u, secret) > 0 OR strpos(u, until) > 0 THEN
    RAISE EXCEPTION 'leasehold: a name must not hold a placeholder of Vault' USING ERRCODE = 'invalid_name';
  END IF;
  EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L VALID UNTIL %L', u, secret, until);
  EXECUTE format('GRANT %I TO %I', in_role, u) || CASE WHEN v16 AND NOT acts THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
END $f$;

CREATE OR REPLACE FUNCTION leasehold.renew(name text, until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  u text := name;
BEGIN
  PERFORM leasehold.check_name(name);
  PERFORM leasehold.check_user(name);
  IF until IS NULL THEN
    RAISE EXCEPTION 'leasehold: a user needs an end' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = u AND NOT rolcanlogin) THEN
    RAISE EXCEPTION 'leasehold: the access of % has ended', quote_ident(u) USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM set_config('lock_timeout', '1s', true);
  EXECUTE format('ALTER ROLE %I VALID UNTIL %L', u, until);
END $f$;

CREATE OR REPLACE FUNCTION leasehold.end_access(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  u text := name;
  id oid;
  v16 boolean := current_setting('server_version_num')::int >= 160000;
  other record;
BEGIN
  PERFORM leasehold.check_name(name);
  id := (SELECT oid FROM pg_roles WHERE rolname = u);
  IF id IS NULL THEN
    RETURN;  -- dropped by hand: an error would strand the lease
  END IF;
  PERFORM leasehold.check_user(name);
  PERFORM set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '100ms', true);
  FOR attempt IN 1..20 LOOP
    BEGIN
      EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL VALID UNTIL %L', u, '-infinity');
      EXIT;
    EXCEPTION WHEN OTHERS THEN
      -- A session that is changing this user's password holds its row. Before PostgreSQL 15 it can be the session of another user.
      EXECUTE format('GRANT %I TO CURRENT_USER', u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
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
END $f$;

CREATE OR REPLACE FUNCTION leasehold.revoke(name text, reassign_to text, strictly boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  u text := name;
  id oid;
  heir text := reassign_to;
  v16 boolean := current_setting('server_version_num')::int >= 160000;
  granted boolean := false;
  quiet int := 0;
  reason text;
  detail text;
  other record;
BEGIN
  PERFORM leasehold.check_name(name);
  id := (SELECT oid FROM pg_roles WHERE rolname = u);
  IF id IS NULL THEN
    RETURN;  -- dropped by hand: an error would strand the lease
  END IF;
  PERFORM leasehold.check_heir(heir);
  PERFORM leasehold.check_user(name);
  IF (SELECT rolcanlogin FROM pg_roles WHERE oid = id) THEN
    PERFORM leasehold.end_access(name);
  END IF;
  -- A login that began before the access ended shows only when it is through: look until there has been none for a while.
  FOR attempt IN 1..500 LOOP
    PERFORM pg_stat_clear_snapshot();
    IF EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = id) THEN
      IF NOT granted THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
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
    EXECUTE format('GRANT %I TO CURRENT_USER', u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    EXECUTE format('GRANT %I TO %I', heir, u) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    BEGIN
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
END $f$;

CREATE OR REPLACE FUNCTION leasehold.revoke(name text, reassign_to text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
  SELECT leasehold.revoke(name, reassign_to, false)
$f$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leasehold FROM PUBLIC;"""

VERSION = f"leasehold.vault {hashlib.sha256(FUNCTIONS.encode()).hexdigest()}"
"""The beginning of the comment on the schema; after it comes what the server made of them."""
