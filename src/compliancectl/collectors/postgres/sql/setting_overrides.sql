-- Settings that are preset for a role or a database, and win over the server's own.
select coalesce(d.datname, '*') as scope_database, coalesce(r.rolname, '*') as role,
       split_part(c.line, '=', 1) as name, substr(c.line, length(split_part(c.line, '=', 1)) + 2) as value
from pg_db_role_setting s
cross join lateral unnest(s.setconfig) c(line)
left join pg_database d on d.oid = s.setdatabase
left join pg_roles r on r.oid = s.setrole
order by 1, 2, 3
-- independent count
select coalesce(sum(cardinality(setconfig)), 0) from pg_db_role_setting
