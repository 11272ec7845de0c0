-- Every ordinary, partitioned and partition table outside the system's own schemas, with its tenant key.
-- parameters: tenant_keys, key_tables, key_columns
select n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as qualified,
       c.relkind as kind, pg_get_userbyid(c.relowner) as owner,
       c.relrowsecurity as rls_enabled, c.relforcerowsecurity as rls_forced, c.relpersistence as persistence,
       c.relispartition as is_partition,
       key.attname as tenant_column, key.attnotnull as tenant_not_null,
       case when key.attnum is not null then exists (
         select from pg_index i where i.indrelid = c.oid and i.indkey[0] = key.attnum) end as tenant_leading_index,
       case when key.attnum is not null then exists (
         select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and key.attnum = any (k.conkey)) end as tenant_fk,
       (select count(*) from pg_policy p where p.polrelid = c.oid) as policy_count,
       case when c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows,
       (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
         where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
           and d.refclassid = 'pg_extension'::regclass limit 1) as extension
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select a.attname, a.attnum, a.attnotnull
  from pg_attribute a
  left join unnest($2::text[], $3::text[]) own(tab, col) on own.tab = format('%I.%I', n.nspname, c.relname)
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    and (a.attname = own.col or (own.col is null and a.attname = any ($1::text[])))
  order by array_position($1::text[], a.attname::text), a.attnum limit 1) key on true
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname, c.relname
-- independent count
select count(*) from pg_tables
where schemaname not in ('pg_catalog', 'information_schema') and schemaname !~ '^pg_(toast|temp)'
