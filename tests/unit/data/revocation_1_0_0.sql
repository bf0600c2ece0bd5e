-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

DO $do$
DECLARE
  pids int[];
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{name}}') THEN
    RETURN;
  END IF;
  GRANT "{{name}}" TO CURRENT_USER;
  pids := ARRAY(SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename = '{{name}}');
  PERFORM pg_catalog.pg_terminate_backend(p) FROM pg_catalog.unnest(pids) AS p;
  FOR i IN 1..500 LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE usename = '{{name}}' AND pid = ANY (pids));
    PERFORM pg_catalog.pg_sleep(0.01);
  END LOOP;
  PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = '{{name}}';
  REASSIGN OWNED BY "{{name}}" TO "app_rw";
  DROP OWNED BY "{{name}}";
  DROP ROLE "{{name}}";
END
$do$
