-- Each column that the schema map names, as the catalogue has it; a column that is not there is a row that says so. An empty column is the table itself.
-- parameters: things, roles, tables, columns
select w.thing, w.role, w.tab as qualified, w.col as name,
       case when w.col = '' then c.oid is not null else a.attnum is not null end as present,
       format_type(a.atttypid, a.atttypmod) as type, not (a.attnotnull or coalesce(t.typnotnull, false)) as nullable,
       pg_get_expr(d.adbin, d.adrelid) as default_expression,
       case when a.attnum is not null then exists (
         select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indnkeyatts = 1
            and i.indkey[0] = a.attnum and i.indpred is null) end as is_unique,
       (select format('%I.%I', pn.nspname, p.relname) from pg_constraint k
          join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
         where k.contype = 'f' and k.conrelid = c.oid and a.attnum = any (k.conkey) and k.convalidated
         order by cardinality(k.conkey), k.conname limit 1) as refers_to,
       (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid) as labels,
       case when a.attnum is not null then coalesce(
         (select json_agg(pg_get_constraintdef(k.oid) order by k.conname) from pg_constraint k
           where k.contype = 'c' and k.convalidated
             and ((k.conrelid = c.oid and a.attnum = any (k.conkey)) or k.contypid = t.oid)), '[]') end as checks
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) w(thing, role, tab, col)
left join (pg_class c join pg_namespace n on n.oid = c.relnamespace) on format('%I.%I', n.nspname, c.relname) = w.tab
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and w.col <> '' and a.attname = w.col
left join pg_type t on t.oid = a.atttypid and t.typtype = 'd'
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
order by w.thing, w.role, w.tab
