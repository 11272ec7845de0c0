-- Every role with its powers and its direct memberships; before PostgreSQL 16 a membership has no options of its own.
select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypass_rls, r.rolcreaterole as create_role,
       r.rolreplication as replication, r.rolcanlogin as can_login, r.rolinherit as inherits,
       (select coalesce(json_agg(json_build_object('role', g.rolname,
                 'inherit', coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit),
                 'set', coalesce((to_jsonb(m) ->> 'set_option')::boolean, true), 'admin', m.admin_option) order by g.rolname), '[]')
          from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid) as memberships,
       (select coalesce(json_agg(n.nspname order by n.nspname), '[]') from pg_namespace n
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and has_schema_privilege(r.oid, n.oid, 'CREATE')) as creates_in,
       has_database_privilege(r.oid, current_database(), 'TEMPORARY') as temporary
from pg_roles r
order by 1
-- independent count
select count(*) from pg_roles
