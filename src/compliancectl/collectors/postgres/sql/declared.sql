-- Names that the scope declares and the server does not know: an unknown application role would make every grant look absent.
-- parameters: roles, tables
select 'role' as kind, w.name from unnest($1::text[]) w(name) where not exists (select from pg_roles r where r.rolname = w.name)
union all
select 'table', w.name from unnest($2::text[]) w(name)
where not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where format('%I.%I', n.nspname, c.relname) = w.name)
order by 1, 2
