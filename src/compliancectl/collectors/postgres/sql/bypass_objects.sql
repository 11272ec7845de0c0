-- Objects that can read tables with rights other than the caller's: views, materialized views, foreign tables, SECURITY DEFINER functions.
-- A view is followed to the tables that it reads, through other views; what counts is the last view before the table:
-- with security_invoker it reads as the caller, otherwise as its owner, whom policies bind or not.
-- parameters: tenant_keys, app_roles, shared_tables, key_tables
with recursive
reach_role(member, role) as (
  select oid, oid from pg_roles
  union
  select r.member, m.roleid from reach_role r join pg_auth_members m on m.member = r.role),
app(role) as (
  select distinct r.role from reach_role r join pg_roles g on g.oid = r.member where g.rolname = any ($2::text[])),
tenant(id, owner, forced) as (
  select c.oid, c.relowner, c.relrowsecurity and c.relforcerowsecurity
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
    and format('%I.%I', n.nspname, c.relname) <> all ($3::text[])
    and (c.relrowsecurity or format('%I.%I', n.nspname, c.relname) = any ($4::text[]) or exists (
      select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname = any ($1::text[])))),
edge(reader, base) as (
  select distinct w.ev_class, d.refobjid
  from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
  where d.refobjid <> w.ev_class),
reach(reader, base) as (
  select reader, base from edge
  union
  select r.reader, e.base from reach r join edge e on e.reader = r.base),
unbound(owner, base) as (
  select o.oid, t.id from pg_roles o cross join tenant t
  where o.rolsuper or o.rolbypassrls
     or (not t.forced and exists (select from reach_role r where r.member = o.oid and r.role = t.owner))
     or exists (select from pg_policy p where p.polrelid = t.id and p.polpermissive and p.polcmd in ('r', '*')
                  and exists (select from reach_role r where r.member = o.oid and r.role = any (p.polroles))
                  and pg_get_expr(p.polqual, p.polrelid) = 'true')),
invoker(id) as (
  select c.oid from pg_class c cross join lateral pg_options_to_table(c.reloptions) x
  where c.relkind = 'v' and x.option_name = 'security_invoker' and lower(x.option_value) in ('true', 'on', '1', 'yes', 't', 'y')),
leak(id) as (
  select distinct e.reader from edge e join pg_class c on c.oid = e.reader join unbound u on u.owner = c.relowner and u.base = e.base
  where c.relkind = 'm' or not exists (select from invoker i where i.id = e.reader)),
extension_member(class, id) as (
  select d.classid, d.objid from pg_depend d where d.deptype = 'e' and d.refclassid = 'pg_extension'::regclass)
select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end as kind,
       n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as qualified, pg_get_userbyid(c.relowner) as owner,
       coalesce(to_json(c.reloptions), '[]'::json)::text as options,
       case when c.relkind = 'f' then case when exists (select from tenant t where t.id = c.oid) then true end
            else exists (select from reach r join tenant t on t.id = r.base where r.reader = c.oid) end as reads_tenant_tables,
       exists (select from app a where has_any_column_privilege(a.role, c.oid, 'SELECT, INSERT, UPDATE')
                 and has_schema_privilege(a.role, n.oid, 'USAGE')) as granted_to_app,
       case when c.relkind = 'v' then exists (select from invoker i where i.id = c.oid) end as security_invoker,
       case when c.relkind <> 'f' then not exists (select from leak l where l.id = c.oid or l.id in (select r.base from reach r where r.reader = c.oid)) end as owner_bound,
       null as search_path, null as body_sha256
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
  and not exists (select from extension_member x where x.class = 'pg_class'::regclass and x.id = c.oid)
union all
select 'security definer function', n.nspname, p.proname, p.oid::regprocedure::text, pg_get_userbyid(p.proowner),
       coalesce(to_json(p.proconfig), '[]'::json)::text,
       case when p.prosqlbody is not null then exists (
         select from pg_depend d join tenant t on t.id = d.refobjid or t.id in (select r.base from reach r where r.reader = d.refobjid)
         where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass) end,
       exists (select from app a where has_function_privilege(a.role, p.oid, 'EXECUTE') and has_schema_privilege(a.role, n.oid, 'USAGE')),
       null,
       not exists (select from unbound u where u.owner = p.proowner),
       (select substr(s.line, 13) from unnest(p.proconfig) s(line) where s.line like 'search\_path=%'),
       encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'UTF8')), 'hex')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
  and not exists (select from extension_member x where x.class = 'pg_proc'::regclass and x.id = p.oid)
order by 1, 2, 4
