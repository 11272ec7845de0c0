-- Every policy with its expressions, what they depend on, and to whom of those that count it applies: the application's roles, and
-- owners of relations and of SECURITY DEFINER functions, with whose rights views, rules and functions work.
-- parameters: app_roles
select format('%I.%I', n.nspname, c.relname) as relation, p.polname as name, p.polpermissive as permissive,
       case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end as command,
       (select json_agg(case when r.id = 0 then 'PUBLIC' else pg_get_userbyid(r.id) end order by case when r.id = 0 then 'PUBLIC' else pg_get_userbyid(r.id) end)
          from unnest(p.polroles) r(id)) as roles,
       (select coalesce(json_agg(g.rolname order by g.rolname), '[]') from pg_roles g
         where (g.rolname = any ($1::text[]) or g.oid in (select w.relowner from pg_class w where w.relkind in ('r', 'p', 'v', 'm'))
                or g.oid in (select f.proowner from pg_proc f where f.prosecdef))
           and exists (select from unnest(p.polroles) r(id) where r.id = 0 or pg_has_role(g.oid, r.id, 'USAGE'))) as applies_to,
       pg_get_expr(p.polqual, p.polrelid) as using_expression, pg_get_expr(p.polwithcheck, p.polrelid) as check_expression,
       (select coalesce(json_agg(distinct a.attname), '[]') from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid) as columns,
       (select coalesce(json_agg(json_build_array(x.relation, x.column_name) order by x.relation, x.column_name), '[]') from (
          select distinct format('%I.%I', dn.nspname, dc.relname) as relation, a.attname as column_name
          from pg_depend d join pg_class dc on dc.oid = d.refobjid join pg_namespace dn on dn.oid = dc.relnamespace
          left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and a.attnum > 0
          where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> p.polrelid) x) as lookups,
       (select coalesce(json_agg(distinct d.refobjid::regprocedure::text), '[]') from pg_depend d
         where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass) as functions
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
order by 1, 2
-- independent count
select count(*) from pg_policies
