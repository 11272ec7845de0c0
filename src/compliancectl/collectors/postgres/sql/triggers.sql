-- Triggers that people made, switched on, and which tables of the schema map the body of their function names. The body itself is left out.
-- parameters: tables, patterns
select format('%I.%I', n.nspname, c.relname) as relation, t.tgname as name, t.tgfoid::regprocedure::text as function,
       (t.tgtype & 4) > 0 as on_insert, (t.tgtype & 16) > 0 as on_update, (t.tgtype & 8) > 0 as on_delete,
       coalesce((select json_agg(w.tab order by w.tab) from unnest($1::text[], $2::text[]) w(tab, pattern)
                  where p.prosrc ~* w.pattern), '[]') as mentions
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
join pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and t.tgenabled <> 'D'
order by 1, 2
-- independent count
select count(*) from pg_trigger where not tgisinternal and tgenabled in ('O', 'R', 'A')
