-- Triggers that people made, switched on, with their functions.
select format('%I.%I', n.nspname, c.relname) as relation, t.tgname as name, t.tgfoid::regprocedure::text as function,
       (t.tgtype & 4) > 0 as on_insert, (t.tgtype & 16) > 0 as on_update, (t.tgtype & 8) > 0 as on_delete
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where not t.tgisinternal and t.tgenabled <> 'D'
order by 1, 2
