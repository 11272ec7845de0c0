-- What each view and each rule reads or writes: a view reads its bases; a rule's action runs with the rights of the relation's owner.
select format('%I.%I', n.nspname, c.relname) as reader, case when w.rulename = '_RETURN' then 'view' else 'rule' end as kind, w.rulename as rule,
       case w.ev_type when '1' then 'SELECT' when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as event,
       format('%I.%I', bn.nspname, bc.relname) as base
from pg_rewrite w
join pg_class c on c.oid = w.ev_class join pg_namespace n on n.oid = c.relnamespace
join (select distinct objid, refobjid from pg_depend where classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass) d on d.objid = w.oid
join pg_class bc on bc.oid = d.refobjid join pg_namespace bn on bn.oid = bc.relnamespace
where d.refobjid <> w.ev_class and bc.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
  -- A function that returns rows of a table's type leaves such a mark too, and runs with the rights that its own definition says.
  and not (position(format('%I.%I', bn.nspname, bc.relname) in pg_get_ruledef(w.oid)) = 0 and exists (
    select from pg_depend f join pg_proc p on p.oid = f.refobjid
    where f.classid = 'pg_rewrite'::regclass and f.objid = w.oid and f.refclassid = 'pg_proc'::regclass and p.prorettype = bc.reltype))
order by 1, 2, 3, 5
