-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- The life of a user as three functions, so that the admin role needs no CREATEROLE.
--
--   leasehold.issue(name, password, until, in_role)   a user, member of the group in_role
--   leasehold.renew(name, until)                      the same user, for longer
--   leasehold.revoke(name, reassign_to)               its sessions end, its objects go to the group reassign_to, it is gone
--
-- They run as leasehold_definer, who may create users (before PostgreSQL 16: change nearly any user). So each of them
-- first refuses what is not its business. Run this file as leasehold_definer.

-- A group is ours when leasehold_definer may grant it, it was let into this very database, and nobody can log in as it.
CREATE OR REPLACE FUNCTION leasehold.is_group(candidate text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $f$
  SELECT EXISTS (
    SELECT FROM pg_roles AS g
      JOIN pg_auth_members AS m ON m.roleid = g.oid AND m.admin_option
      JOIN pg_roles AS d ON d.oid = m.member AND d.rolname = 'leasehold_definer'
     WHERE g.rolname = candidate
       AND NOT (g.rolcanlogin OR g.rolsuper OR g.rolcreaterole OR g.rolcreatedb OR g.rolreplication OR g.rolbypassrls)
       AND EXISTS (SELECT FROM pg_database AS b, aclexplode(b.datacl) AS a
                    WHERE b.datname = current_database() AND a.grantee = g.oid AND a.privilege_type = 'CONNECT'))
$f$;

CREATE OR REPLACE FUNCTION leasehold.check_group(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF leasehold.is_group(candidate) IS NOT TRUE THEN
    RAISE EXCEPTION 'leasehold: % is not a group that this database hands out', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

CREATE OR REPLACE FUNCTION leasehold.check_name(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF candidate IS NULL OR candidate !~ '^v-[A-Za-z0-9_.-]+$' OR octet_length(candidate) > 63 THEN
    RAISE EXCEPTION 'leasehold: % is not a name of the form v-..., of at most 63 bytes', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

-- A user is ours when it has no attribute beyond LOGIN and is a member of our groups, and of nothing else.
CREATE OR REPLACE FUNCTION leasehold.check_user(candidate text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  IF (SELECT bool_and(leasehold.is_group(g.rolname)) AND NOT bool_or(
               u.rolsuper OR u.rolcreaterole OR u.rolcreatedb OR u.rolreplication OR u.rolbypassrls)
        FROM pg_roles AS u
        LEFT JOIN pg_auth_members AS m ON m.member = u.oid
        LEFT JOIN pg_roles AS g ON g.oid = m.roleid
       WHERE u.rolname = candidate) IS NOT TRUE THEN
    RAISE EXCEPTION 'leasehold: % is not a user made by leasehold.issue', quote_nullable(candidate)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $f$;

CREATE OR REPLACE FUNCTION leasehold.issue(name text, password text, until timestamptz, in_role text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  PERFORM leasehold.check_name(name);
  PERFORM leasehold.check_group(in_role);
  IF password IS NULL OR until IS NULL THEN
    RAISE EXCEPTION 'leasehold: a user needs a password and an end' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L VALID UNTIL %L IN ROLE %I', name, password, until, in_role);
END $f$;

CREATE OR REPLACE FUNCTION leasehold.renew(name text, until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  PERFORM leasehold.check_name(name);
  PERFORM leasehold.check_user(name);
  IF until IS NULL THEN
    RAISE EXCEPTION 'leasehold: a user needs an end' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  EXECUTE format('ALTER ROLE %I VALID UNTIL %L', name, until);
END $f$;

CREATE OR REPLACE FUNCTION leasehold.revoke(name text, reassign_to text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  pids int[];
BEGIN
  PERFORM leasehold.check_name(name);
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
    RETURN;  -- dropped by hand: an error would strand the lease
  END IF;
  PERFORM leasehold.check_group(reassign_to);
  PERFORM leasehold.check_user(name);
  EXECUTE format('GRANT %I TO CURRENT_USER', name);
  -- End the sessions, wait for exactly those to be gone, then end what has logged in meanwhile.
  pids := ARRAY(SELECT pid FROM pg_stat_activity WHERE usename = name);
  PERFORM pg_terminate_backend(p) FROM unnest(pids) AS p;
  FOR i IN 1..500 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = name AND pid = ANY (pids));
    PERFORM pg_sleep(0.01);
  END LOOP;
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = name;
  EXECUTE format('REASSIGN OWNED BY %I TO %I', name, reassign_to);
  EXECUTE format('DROP OWNED BY %I', name);
  EXECUTE format('DROP ROLE %I', name);
END $f$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leasehold FROM PUBLIC;
