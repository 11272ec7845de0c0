-- Other ways by which rows, or how many there are, can leave: sequences, grants on what is yet to come, publications, presets, large
-- objects. A sequence belongs to a table that owns it, or whose column draws from it.
-- parameters: app_roles
select 'sequence' as kind, format('%I.%I', n.nspname, c.relname) as name, r.rolname as role, format('%I.%I', bn.nspname, bc.relname) as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join (select objid as sequence, refobjid as relation from pg_depend where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
      union
      select d.refobjid, f.adrelid from pg_depend d join pg_attrdef f on f.oid = d.objid
      where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass) u on u.sequence = c.oid
join pg_class bc on bc.oid = u.relation join pg_namespace bn on bn.oid = bc.relnamespace
join pg_roles r on r.rolname = any ($1::text[]) and has_sequence_privilege(r.oid, c.oid, 'SELECT') and has_schema_privilege(r.oid, n.oid, 'USAGE')
where c.relkind = 'S'
union all
select 'default grant', coalesce(format('%I', n.nspname), '(every schema)'), case when x.grantee = 0 then 'PUBLIC' else pg_get_userbyid(x.grantee) end,
       x.privilege_type || ' on tables of ' || pg_get_userbyid(a.defaclrole)
from pg_default_acl a left join pg_namespace n on n.oid = a.defaclnamespace cross join lateral aclexplode(a.defaclacl) x
where a.defaclobjtype = 'r' and (x.grantee = 0 or exists (
  select from pg_roles r where r.rolname = any ($1::text[]) and r.oid <> a.defaclrole and pg_has_role(r.oid, x.grantee, 'USAGE')))
union all
select 'publication', p.pubname, case when p.puballtables then 'all tables' when exists (
         select from pg_publication_rel r join pg_class c on c.oid = r.prrelid where r.prpubid = p.oid and c.relname = t.tablename and c.relnamespace::regnamespace::text = quote_ident(t.schemaname)) then 'table' else 'schema' end,
       -- Which columns the filter of its rows looks at: one that leaves the tenant key out keeps no tenant out.
       format('%I.%I', t.schemaname, t.tablename) || coalesce(' (filtered by ' || (
         select string_agg(a.attname, ', ' order by a.attname) from pg_attribute a join pg_class c on c.oid = a.attrelid
         where c.relname = t.tablename and c.relnamespace::regnamespace::text = quote_ident(t.schemaname) and a.attnum > 0 and not a.attisdropped
           and quote_ident(a.attname) = any (regexp_split_to_array(
             regexp_replace(to_jsonb(t) ->> 'rowfilter', '''(?:[^'']|'''')*''', '', 'g'), '[^[:alnum:]_$"]+'))) || ')', '')
from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
union all
select 'preset', split_part(l.line, '=', 1), coalesce(r.rolname, '*'), coalesce(d.datname, '*')
from pg_db_role_setting s cross join lateral unnest(s.setconfig) l(line)
left join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole
where (s.setrole = 0 or r.rolname = any ($1::text[])) and (s.setdatabase = 0 or d.datname = current_database())
union all
select 'large objects', 'large objects', r.rolname, count(*)::text
from pg_largeobject_metadata l join pg_roles r on r.rolname = any ($1::text[]) and not r.rolsuper
where pg_has_role(r.oid, l.lomowner, 'USAGE')
   or exists (select from aclexplode(l.lomacl) x where x.grantee = 0 or pg_has_role(r.oid, x.grantee, 'USAGE'))
group by r.rolname
order by 1, 2, 3, 4
