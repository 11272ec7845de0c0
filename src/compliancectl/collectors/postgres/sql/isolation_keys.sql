-- Foreign keys, and what must be unique, with the columns of both sides.
select 'foreign key' as kind, format('%I.%I', n.nspname, c.relname) as relation, k.conname as name,
       (select json_agg(a.attname order by u.place) from unnest(k.conkey) with ordinality u(num, place) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num) as columns,
       format('%I.%I', pn.nspname, pc.relname) as parent,
       (select json_agg(a.attname order by u.place) from unnest(k.confkey) with ordinality u(num, place) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num) as parent_columns,
       false as is_primary, false as partial, true as is_constraint, k.confdeltype in ('c', 'n', 'd') as deletes_along, k.confupdtype in ('c', 'n', 'd') as changes_along
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class pc on pc.oid = k.confrelid join pg_namespace pn on pn.oid = pc.relnamespace
where k.contype = 'f' and k.conparentid = 0 and n.nspname not in ('pg_catalog', 'information_schema')
union all
select 'unique', format('%I.%I', n.nspname, c.relname), ic.relname,
       (select json_agg(coalesce(a.attname, '(expression)') order by u.place) from unnest(i.indkey) with ordinality u(num, place)
          left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.num where u.place <= i.indnkeyatts),
       null, null, i.indisprimary, i.indpred is not null or i.indisexclusion or i.indexprs is not null,
       exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')), false, false
from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace join pg_class ic on ic.oid = i.indexrelid
where (i.indisunique or i.indisexclusion) and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
order by 1, 2, 3
