-- Where an unqualified name leads in a session of each application role: its preset, the database's, or the server's.
-- parameters: app_roles
select r.rolname as role, coalesce(
  (select substr(l.line, 13) from pg_db_role_setting s cross join lateral unnest(s.setconfig) l(line)
    where l.line like 'search\_path=%' and s.setrole in (0, r.oid)
      and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    order by s.setrole <> 0 desc, s.setdatabase <> 0 desc limit 1),
  (select boot_val from pg_settings where name = 'search_path')) as search_path
from pg_roles r where r.rolname = any ($1::text[])
order by 1
