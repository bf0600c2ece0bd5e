-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- How the rights of the groups differ from the document, in its schemas. A row says what is missing (kind, grantee, schema; with
-- a creator: the default privileges for what this role will create) or is the statement that takes back what is too much.
-- What a group owns itself is left alone, and so is a kind of object that the document does not mention for it.
WITH wanted AS (
  SELECT r.oid AS grantee, r.rolname, n.oid AS namespace, n.nspname AS schema, k.kind, k.type,
         (SELECT array_agg(upper(p)) FROM json_array_elements_text(k.privileges) AS p) AS privileges
    FROM json_each(%(groups)s) AS g
    JOIN pg_roles AS r ON r.rolname = g.key
    JOIN pg_namespace AS n ON n.nspname IN (SELECT json_array_elements_text(g.value -> 'schemas'))
   CROSS JOIN LATERAL (VALUES ('schema_privileges', 'n', coalesce(g.value -> 'schema_privileges', '["usage"]')),
                              ('tables', 'r', g.value -> 'tables'),
                              ('sequences', 'S', g.value -> 'sequences'),
                              ('functions', 'f', g.value -> 'functions')) AS k (kind, type, privileges)
   WHERE k.privileges IS NOT NULL
), object AS (
  SELECT 'schema_privileges' AS kind, oid AS namespace, format('SCHEMA %%I', nspname) AS name, nspowner AS owner,
         coalesce(nspacl, acldefault('n', nspowner)) AS acl
    FROM pg_namespace
  UNION ALL
  SELECT CASE relkind WHEN 'S' THEN 'sequences' ELSE 'tables' END, relnamespace,
         format(CASE relkind WHEN 'S' THEN 'SEQUENCE %%s' ELSE 'TABLE %%s' END, oid::regclass), relowner,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
    FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
  UNION ALL
  SELECT 'functions', pronamespace, format('FUNCTION %%s', oid::regprocedure), proowner, coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc WHERE prokind = 'f'
), compared AS (
  SELECT w.*, o.name, o.owner,
         ARRAY(SELECT a.privilege_type FROM aclexplode(o.acl) AS a WHERE a.grantee = w.grantee) AS held
    FROM wanted AS w JOIN object AS o USING (kind, namespace)
), future AS (
  SELECT w.*, c.rolname AS creator,
         ARRAY(SELECT a.privilege_type FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS a
                WHERE d.defaclrole = c.oid AND d.defaclnamespace = w.namespace AND d.defaclobjtype = w.type::"char"
                  AND a.grantee = w.grantee) AS held
    FROM wanted AS w JOIN pg_roles AS c ON c.rolname IN (SELECT json_array_elements_text(%(creators)s))
   WHERE w.kind <> 'schema_privileges'
)
SELECT DISTINCT kind, rolname AS grantee, schema, NULL AS creator, NULL AS statement
  FROM compared WHERE NOT held @> privileges
UNION ALL
SELECT kind, rolname, schema, creator, NULL
  FROM future WHERE NOT (held @> privileges AND held <@ privileges)
UNION ALL
SELECT kind, rolname, schema, NULL,
       format('REVOKE %%s ON %%s FROM %%I', (SELECT string_agg(p, ', ') FROM unnest(held) AS p WHERE p <> ALL (privileges)), name, rolname)
  FROM compared WHERE NOT held <@ privileges AND owner <> grantee
 ORDER BY 1, 2, 3, 4, 5
