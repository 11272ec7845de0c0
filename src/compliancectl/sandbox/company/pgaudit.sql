-- What the extension pgaudit leaves in a database and in the server's settings. The sandbox's binaries do not carry it, so
-- nothing is audited here; its settings are the company's definition, read from the table below. Settings: pgaudit's
-- documentation.
create table pg_catalog.larkspur_audit (name text primary key, setting text);

create or replace view pg_catalog.pg_settings as
  select a.name, case when a.name = 'shared_preload_libraries' then coalesce((
           select l.setting from pg_catalog.larkspur_audit l where l.name = a.name), a.setting) else a.setting end as setting,
         a.unit, a.category, a.short_desc, a.extra_desc, a.context, a.vartype, a.source, a.min_val, a.max_val, a.enumvals,
         a.boot_val, a.reset_val, a.sourcefile, a.sourceline, a.pending_restart
  from pg_show_all_settings() a
  union all
  select l.name, l.setting, null, 'Customized Options', '', null, 'superuser', 'string', 'configuration file', null, null, null,
         null, l.setting, null, null, false
  from pg_catalog.larkspur_audit l where l.name like 'pgaudit.%';
grant select on pg_catalog.larkspur_audit to public;
