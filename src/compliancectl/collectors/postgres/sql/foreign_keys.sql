-- Every foreign key, and what happens to the child when the parent goes.
select k.conname as name, format('%I.%I', cn.nspname, cc.relname) as child, format('%I.%I', pn.nspname, pc.relname) as parent,
       case k.confdeltype when 'a' then 'NO ACTION' when 'r' then 'RESTRICT' when 'c' then 'CASCADE' when 'n' then 'SET NULL' else 'SET DEFAULT' end as on_delete,
       (select json_agg(a.attname order by u.place) from unnest(k.conkey) with ordinality u(num, place)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num) as columns,
       k.convalidated as validated
from pg_constraint k
join pg_class cc on cc.oid = k.conrelid join pg_namespace cn on cn.oid = cc.relnamespace
join pg_class pc on pc.oid = k.confrelid join pg_namespace pn on pn.oid = pc.relnamespace
where k.contype = 'f'
order by child, name
-- independent count
select count(*) from pg_constraint where contype = 'f'
