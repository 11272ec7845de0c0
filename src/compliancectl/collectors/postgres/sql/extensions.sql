-- The extensions installed in this database, and pg_cron even when it is not: its absence is a fact too.
select w.name, e.extversion as version, e.oid is not null as installed, n.nspname as schema
from (select extname as name from pg_extension union select 'pg_cron') w
left join pg_extension e on e.extname = w.name
left join pg_namespace n on n.oid = e.extnamespace
order by w.name
