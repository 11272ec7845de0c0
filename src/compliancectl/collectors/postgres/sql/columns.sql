-- Every column of every table, materialized view and foreign table, from the catalogue: information_schema would hide what the role may not read.
select n.nspname as schema, c.relname as table_name, format('%I.%I', n.nspname, c.relname) as qualified, a.attname as name,
       format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
       pg_get_expr(d.adbin, d.adrelid) as default_expression
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname, c.relname, a.attnum
-- independent count
select count(*) from pg_attribute a
where a.attnum > 0 and not a.attisdropped and a.attrelid in (
  select c.oid from pg_class c where c.relkind in ('r', 'p', 'm', 'f') and c.relnamespace not in (
    select n.oid from pg_namespace n where n.nspname in ('pg_catalog', 'information_schema') or n.nspname ~ '^pg_(toast|temp)'))
