-- What PUBLIC, that is everybody who can connect, holds: on relations and columns, CREATE on schemas, and on the database itself.
select 'relation' as kind, format('%I.%I', n.nspname, c.relname) as object, x.privilege_type as privilege
from pg_class c join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(coalesce(c.relacl, acldefault(case when c.relkind = 'S' then 's' else 'r' end::"char", c.relowner))) x
where x.grantee = 0 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname not in ('pg_catalog', 'information_schema')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
union all
select 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), x.privilege_type
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(a.attacl) x
where x.grantee = 0 and not a.attisdropped and n.nspname not in ('pg_catalog', 'information_schema')
union all
select 'schema', format('%I', n.nspname), x.privilege_type
from pg_namespace n cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
where x.grantee = 0 and x.privilege_type = 'CREATE' and n.nspname !~ '^pg_(toast|temp)'
union all
select 'database', format('%I', d.datname), x.privilege_type
from pg_database d cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
where x.grantee = 0 and d.datname = current_database()
order by 1, 2, 3
