-- Columns by name, each with what shows that its values are hashed, encrypted or masked; a name that no column has is a row that says so.
-- parameters: names
select w.name, a.attnum is not null as present, a.type,
       case when a.attnum is not null then exists (
         select from pg_constraint k where k.contype = 'c' and k.convalidated and k.conrelid = a.attrelid and a.attnum = any (k.conkey)
            and pg_get_constraintdef(k.oid) ~* '(length\(|~ ''|like )') end as shaped,
       (select l.label from pg_seclabel l where l.classoid = 'pg_class'::regclass and l.objoid = a.attrelid and l.objsubid = a.attnum
         order by l.provider limit 1) as label
from unnest($1::text[]) w(name)
left join (
  select format('%I.%I', n.nspname, c.relname) || '.' || a.attname as name, a.attnum, a.attrelid, format_type(a.atttypid, a.atttypmod) as type
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'm', 'f')) a on a.name = w.name
order by w.name
