-- What the server's statistics say about the size of one table, to compare with what was counted.
-- parameters: table
select case when c.relkind = 'r' and pg_relation_size(c.oid) = 0 then 0
            when c.reltuples >= 0 then c.reltuples::bigint end as estimated_rows
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where format('%I.%I', n.nspname, c.relname) = $1::text
