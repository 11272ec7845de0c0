-- Every function of the application, with what its body speaks of; bodies themselves stay in the database.
-- `tables` are names after FROM, JOIN, UPDATE, USING and TRUNCATE, and in the list after FROM; `written` after INTO; `bare` those
-- of both without a schema; `calls` names before a parenthesis; `constants` strings, for the probes alone: they are not kept.
-- parameters: app_roles
select p.oid::regprocedure::text as signature, n.nspname as schema, p.proname as name, pg_get_userbyid(p.proowner) as owner,
       p.prosecdef as definer, p.provolatile as volatility, p.proleakproof as leakproof, l.lanname as language,
       format_type(p.prorettype, null) as returns, p.proretset as returns_set, p.prosqlbody is not null as sql_body, p.prokind = 'p' as procedure, p.pronargs - p.pronargdefaults as required,
       (select coalesce(json_agg(format_type(t.type, null) order by t.place), '[]') from unnest(p.proargtypes::oid[]) with ordinality t(type, place)) as arguments,
       (select substr(s.line, 13) from unnest(p.proconfig) s(line) where s.line like 'search\_path=%') as search_path,
       -- Settings that it makes for itself while it runs; one that it empties says nobody.
       (select coalesce(json_agg(split_part(s.line, '=', 1) order by s.line), '[]') from unnest(p.proconfig) s(line) where s.line not like '%=' and s.line not like '%=""') as presets,
       (select coalesce(json_agg(r.rolname order by r.rolname), '[]') from pg_roles r
         where r.rolname = any ($1::text[]) and has_function_privilege(r.oid, p.oid, 'EXECUTE') and has_schema_privilege(r.oid, n.oid, 'USAGE')) as callers,
       -- What a policy calls needs EXECUTE alone: its schema was looked up when the policy was made.
       (select coalesce(json_agg(r.rolname order by r.rolname), '[]') from pg_roles r
         where r.rolname = any ($1::text[]) and has_function_privilege(r.oid, p.oid, 'EXECUTE')) as executors,
       encode(sha256(convert_to(b.body, 'UTF8')), 'hex') as body_sha256,
       (select coalesce(json_agg(distinct lower(replace(t.name, '"', ''))) filter (where t.name is not null), '[]') from (
          select m[1] as name from regexp_matches(b.plain, '(?:\mfrom|\mjoin|\mupdate|\musing|\mtruncate)\s+(?:table\s+)?(?:only\s+)?((?:"?[[:alnum:]_$]+"?\.)?"?[[:alnum:]_$]+"?)', 'gi') m
          union all
          select substring(part from '^\s*(?:only\s+)?((?:"?[[:alnum:]_$]+"?\.)?"?[[:alnum:]_$]+"?)')
          from regexp_matches(b.plain, '(?:\mfrom|\mtruncate)\s+?([^;()]*?)(?:\mwhere\M|\mgroup\M|\morder\M|\mlimit\M|\munion\M|\mloop\M|;|\(|\)|$)', 'gi') m,
               regexp_split_to_table(m[1], ',') part) t) as tables,
       (select coalesce(json_agg(distinct lower(replace(m[1], '"', ''))), '[]') from regexp_matches(b.plain, '\minto\s+((?:"?[[:alnum:]_$]+"?\.)?"?[[:alnum:]_$]+"?)', 'gi') m) as written,
       (select coalesce(json_agg(distinct m[1]), '[]') from regexp_matches(b.plain, '(?:\mfrom|\mjoin|\mupdate|\musing|\minto|\mtruncate)\s+(?:table\s+)?(?:only\s+)?"?([[:alnum:]_$]+)"?(?![[:alnum:]_$"]|\s*\.)', 'gi') m) as bare,
       (select coalesce(json_agg(distinct lower(replace(m[1], '"', ''))), '[]') from regexp_matches(b.plain, '((?:"?[[:alnum:]_$]+"?\.)?"?[[:alnum:]_$]+"?)\s*\(', 'g') m) as calls,
       (select coalesce(json_agg(distinct m[1]), '[]') from regexp_matches(b.code, 'current_setting\s*\(\s*''([^'']+)''', 'gi') m) as settings,
       -- A name that a variable holds: every setting that the callers name may be meant.
       b.code ~* 'current_setting\s*\(\s*[^''[:space:]]' as settings_by_name,
       (select coalesce(json_agg(distinct m[1]), '[]') from regexp_matches(b.code, '''((?:[^'']|''''){1,99})''', 'g') m) as constants,
       b.plain ~* '\m(execute|(table|query|schema|database|cursor)_to_xml\w*|dblink\w*)\M' as dynamic,
       b.code ~* '\m(pg_notify\s*\(|notify\s)' and (
         b.code ~* 'pg_notify\s*\([^;]*\m(new|old|row_to_json|to_jsonb?)\M'
         or b.code ~* '\m(row_to_json|to_jsonb?|hstore)\s*\(\s*(new|old)\M'
         or b.code ~* '\m(new|old)\s*(\.\*)?\s*::\s*(text|varchar|jsonb?|hstore)\M') as notifies_rows,
       (select coalesce(json_agg(distinct d.refobjid::regprocedure::text), '[]') from pg_depend d
         where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass) as functions
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
cross join lateral (select coalesce(pg_get_function_sqlbody(p.oid), p.prosrc, '') as body) s
cross join lateral (select s.body, regexp_replace(regexp_replace(s.body, '--[^\n]*', '', 'g'), '/\*.*?\*/', '', 'g') as code) c
-- What stands in a string is no table, except in a body that executes strings.
cross join lateral (select c.*, case when c.code ~* '\m(execute|(table|query|schema|database|cursor)_to_xml\w*|dblink\w*)\M' then c.code else regexp_replace(c.code, '''(?:[^'']|'''')*''', '''''', 'g') end as plain) b
where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)' and p.prokind in ('f', 'p')
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by 1
