-- Copyright (c) 2026 The leasehold.vault authors
-- GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- What is there before the role begins: of the roles the document names, and of the databases.
-- Which server it is says the moment at which it started: one for all its names and addresses, and readable by everybody. The
-- system identifier is not, where a server was restored from a copy of another one.
SELECT current_setting('server_version_num')::int AS version,
       pg_postmaster_start_time()::text || ' ' || current_setting('port') AS server,
       (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles
         WHERE rolname IN (SELECT json_array_elements_text(%(roles)s))) AS roles,
       (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles
         WHERE rolsuper AND rolname IN (SELECT json_array_elements_text(%(roles)s))) AS superusers,
       EXISTS (SELECT FROM pg_database WHERE datname = %(database)s) AS has_database,
       (SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database
         WHERE datallowconn AND datname <> %(database)s
           AND has_database_privilege('public', oid, 'CONNECT')) AS open_databases
