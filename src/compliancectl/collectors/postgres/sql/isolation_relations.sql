-- Every relation that holds or shows rows, with its columns and what each application role may do to it.
-- A domain counts as the type beneath it, however many domains lie between.
-- parameters: app_roles
with recursive beneath(id, root, not_null) as (
  select t.oid, t.typbasetype, t.typnotnull from pg_type t where t.typtype = 'd'
  union all
  select b.id, t.typbasetype, b.not_null or t.typnotnull from beneath b join pg_type t on t.oid = b.root and t.typtype = 'd')
select n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as qualified, c.relkind as kind,
       pg_get_userbyid(c.relowner) as owner, c.relrowsecurity as rls_enabled, c.relforcerowsecurity as rls_forced,
       (select coalesce(json_agg(format('%I.%I', pn.nspname, pc.relname) order by i.inhseqno), '[]')
          from pg_inherits i join pg_class pc on pc.oid = i.inhparent join pg_namespace pn on pn.oid = pc.relnamespace
         where i.inhrelid = c.oid) as parents,
       exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') as in_extension,
       (select coalesce(json_object_agg(o.option_name, o.option_value), '{}') from pg_options_to_table(c.reloptions) o) as options,
       (select coalesce(json_agg(json_build_object(
                 'name', a.attname, 'type', format_type(y.oid, null), 'category', y.typcategory,
                 'not_null', a.attnotnull or coalesce(b.not_null, false),
                 'made', case when a.attidentity <> '' then 'identity' when a.attgenerated <> '' then 'generated'
                              when pg_get_expr(f.adbin, f.adrelid) ~ '^(nextval|gen_random_uuid|[a-z_.]*uuid_generate)' then 'random'
                              when f.oid is not null then 'default' end,
                 'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = coalesce(nullif(y.typelem, 0), y.oid))) order by a.attnum), '[]')
          from pg_attribute a left join beneath b on b.id = a.atttypid and b.root in (select o.oid from pg_type o where o.typtype <> 'd')
          join pg_type y on y.oid = coalesce(b.root, a.atttypid)
          left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select json_object_agg(r.rolname, json_build_object(
                 'usage', has_schema_privilege(r.oid, n.oid, 'USAGE'),
                 'select', has_any_column_privilege(r.oid, c.oid, 'SELECT'), 'insert', has_any_column_privilege(r.oid, c.oid, 'INSERT'),
                 'update', has_any_column_privilege(r.oid, c.oid, 'UPDATE'), 'delete', has_table_privilege(r.oid, c.oid, 'DELETE'),
                 'truncate', has_table_privilege(r.oid, c.oid, 'TRUNCATE'),
                 'references', has_any_column_privilege(r.oid, c.oid, 'REFERENCES'), 'trigger', has_table_privilege(r.oid, c.oid, 'TRIGGER'),
                 -- MAINTAIN is known from PostgreSQL 17 on; before that nobody holds it, and asking for it by name is an error.
                 'maintain', exists (select from aclexplode(c.relacl) x where x.privilege_type = 'MAINTAIN' and (x.grantee = 0 or pg_has_role(r.oid, x.grantee, 'USAGE')))
                   or exists (select from pg_roles m where m.rolname = 'pg_maintain' and pg_has_role(r.oid, m.oid, 'USAGE')),
                 'hidden', (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
                             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and not has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')),
                 'insertable', (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
                             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT')),
                 'updatable', (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
                             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE'))) order by r.rolname)
          from pg_roles r where r.rolname = any ($1::text[])) as access
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname, c.relname
-- independent count
select count(*) from pg_class where relkind in ('r', 'p', 'v', 'm', 'f') and relnamespace not in (
  select oid from pg_namespace where nspname in ('pg_catalog', 'information_schema') or nspname ~ '^pg_(toast|temp)')
