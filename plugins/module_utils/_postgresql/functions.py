# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The functions by which users are made without CREATEROLE, for PostgreSQL 15 and older."""

from __future__ import annotations

import hashlib

from ansible_collections.leasehold.vault.plugins.module_utils._core import user_sql

CALLED_BY_ADMIN = (
    "leasehold.issue(text,text,timestamp with time zone,text)",
    "leasehold.renew(text,timestamp with time zone)",
    "leasehold.end_access(text)",
    "leasehold.revoke(text,text)",
    "leasehold.revoke(text,text,boolean)",
)
"""What the admin role may call; the server writes them like that."""

_TEMPLATE = """\
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
@CREATE@
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
@RENEW@
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
@END_ACCESS@
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
@REMOVE@
END $f$;

CREATE OR REPLACE FUNCTION leasehold.revoke(name text, reassign_to text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
  SELECT leasehold.revoke(name, reassign_to, false)
$f$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leasehold FROM PUBLIC;"""

FUNCTIONS = (
    _TEMPLATE.replace("@CREATE@\n", user_sql.CREATE)
    .replace("@RENEW@\n", user_sql.RENEW)
    .replace("@END_ACCESS@\n", user_sql.END_ACCESS)
    .replace("@REMOVE@\n", user_sql.REMOVE)
)
"""The bodies are those of the blocks that do without functions."""

VERSION = f"leasehold.vault {hashlib.sha256(FUNCTIONS.encode()).hexdigest()}"
"""The beginning of the comment on the schema; after it comes what the server made of them."""
