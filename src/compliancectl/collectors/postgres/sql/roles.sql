-- Every role that is not one of PostgreSQL's own pg_* roles, its memberships followed to the end, and the tables it can act as owner of.
with recursive reach(member, role) as (
  select m.member, m.roleid from pg_auth_members m
  union
  select r.member, m.roleid from reach r join pg_auth_members m on m.member = r.role),
owned as (
  select c.relowner as owner, c.relforcerowsecurity as forced
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relrowsecurity and n.nspname not in ('pg_catalog', 'information_schema'))
select r.rolname as name, r.rolcanlogin as can_login, r.rolsuper as superuser, r.rolcreaterole as create_role,
       r.rolcreatedb as create_db, r.rolreplication as replication, r.rolbypassrls as bypass_rls,
       coalesce((select json_agg(g.rolname order by g.rolname) from reach x join pg_roles g on g.oid = x.role where x.member = r.oid), '[]') as member_of,
       coalesce((select json_agg(g.rolname order by g.rolname) from reach x join pg_roles g on g.oid = x.role
                  where x.member = r.oid and (g.rolsuper or g.rolbypassrls)), '[]') as bypass_through,
       case when isfinite(r.rolvaliduntil)
            then to_char(r.rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end as valid_until,
       (select count(*) from owned o where o.owner = r.oid or o.owner in (select x.role from reach x where x.member = r.oid)) as owns_rls_tables,
       (select count(*) from owned o where not o.forced
           and (o.owner = r.oid or o.owner in (select x.role from reach x where x.member = r.oid))) as unforced_rls_tables_owned
from pg_roles r
where r.rolname !~ '^pg_'
order by r.rolname
-- independent count
select (select count(*) from pg_roles) - (select count(*) from pg_roles where starts_with(rolname::text, 'pg_'))
