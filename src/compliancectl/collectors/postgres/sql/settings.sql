-- The settings that controls speak about, each with where its value comes from; a setting the role may not see is a row that says so.
-- What the collector's own session has set is shown as it was before.
-- parameters: names, families
select w.name, case when s.source = 'session' then s.reset_val else s.setting end as setting, s.unit,
       case when s.source = 'session' then 'before the session' else s.source end as source, s.pending_restart,
       case when s.name is not null then 'reported'
            when pg_has_role('pg_read_all_settings', 'USAGE') then 'absent' else 'hidden or absent' end as visibility
from (select unnest($1::text[]) as name
      union select name from pg_settings where split_part(name, '.', 1) = any ($2::text[]) and name like '%.%') w
left join pg_settings s on s.name = w.name
order by w.name
