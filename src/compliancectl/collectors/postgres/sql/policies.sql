-- Every row-level security policy, with its expressions as the server writes them.
select n.nspname as schema, c.relname as table_name, format('%I.%I', n.nspname, c.relname) as qualified, p.polname as name,
       p.polpermissive as permissive,
       case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end as command,
       (select json_agg(case when r.id = 0 then 'PUBLIC' else pg_get_userbyid(r.id) end order by case when r.id = 0 then 'PUBLIC' else pg_get_userbyid(r.id) end)
          from unnest(p.polroles) r(id)) as roles,
       pg_get_expr(p.polqual, p.polrelid) as using_expression,
       pg_get_expr(p.polwithcheck, p.polrelid) as check_expression
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
order by n.nspname, c.relname, p.polname
-- independent count
select count(*) from pg_policies
