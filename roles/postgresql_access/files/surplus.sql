-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- The statements that take back what a group holds and the document no longer gives: on schemas, tables and sequences of
-- the schemas listed for it. What a group owns itself is left alone, and so is a kind that the document does not mention.
WITH wanted AS (
  SELECT g.key AS grantee, s.value AS schema, g.value AS rights
    FROM json_each(%(groups)s) AS g, json_array_elements_text(g.value -> 'schemas') AS s
), held AS (
  SELECT 'schema_privileges' AS kind, 'SCHEMA' AS word, n.nspname AS schema, format('%%I', n.nspname) AS object,
         n.nspowner AS owner, a.*
    FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
  UNION ALL
  SELECT CASE c.relkind WHEN 'S' THEN 'sequences' ELSE 'tables' END, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
         n.nspname, format('%%I.%%I', n.nspname, c.relname), c.relowner, a.*
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
   WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
)
SELECT format('REVOKE %%s ON %%s %%s FROM %%I', string_agg(DISTINCT h.privilege_type, ', '), h.word, h.object, r.rolname) AS statement
  FROM held AS h
  JOIN pg_roles AS r ON r.oid = h.grantee AND h.owner <> r.oid
  JOIN wanted AS w ON w.grantee = r.rolname AND w.schema = h.schema
 WHERE w.rights -> h.kind IS NOT NULL
   AND lower(h.privilege_type) NOT IN (SELECT lower(p) FROM json_array_elements_text(w.rights -> h.kind) AS p)
 GROUP BY h.word, h.object, r.rolname
 ORDER BY 1
