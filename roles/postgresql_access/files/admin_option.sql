-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- PostgreSQL 16 and later. The statements that are missing so that the admin role may hand out the groups (ADMIN) without
-- having their rights itself (INHERIT, SET). No row: nothing is missing.
WITH wanted AS (
  SELECT json_array_elements_text(%(groups)s) AS name
), held AS (
  SELECT g.rolname AS name, by.rolname AS grantor, m.admin_option, m.inherit_option, m.set_option
    FROM pg_auth_members AS m
    JOIN pg_roles AS g ON g.oid = m.roleid
    JOIN pg_roles AS a ON a.oid = m.member
    JOIN pg_roles AS by ON by.oid = m.grantor
   WHERE a.rolname = %(admin)s
)
SELECT format('GRANT %%I TO %%I WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', name, %(admin)s) AS statement
  FROM wanted WHERE name NOT IN (SELECT name FROM held WHERE admin_option)
UNION ALL
SELECT format('REVOKE INHERIT OPTION FOR %%I FROM %%I GRANTED BY %%I', name, %(admin)s, grantor)
  FROM held WHERE inherit_option AND name IN (SELECT name FROM wanted)
UNION ALL
SELECT format('REVOKE SET OPTION FOR %%I FROM %%I GRANTED BY %%I', name, %(admin)s, grantor)
  FROM held WHERE set_option AND name IN (SELECT name FROM wanted)
