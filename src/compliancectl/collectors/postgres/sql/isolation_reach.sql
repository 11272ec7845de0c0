-- Every role that the application's roles can become with SET ROLE, unless no policy binds it anyway.
-- Before PostgreSQL 16 membership is enough; from then on it takes the SET option, which an admin of the role can give itself.
-- parameters: app_roles
with recursive way(member, role) as (
  select m.member, m.roleid from pg_auth_members m where coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) or m.admin_option),
reach(role) as (
  select w.role from way w join pg_roles r on r.oid = w.member where r.rolname = any ($1::text[])
  union
  select w.role from reach x join way w on w.member = x.role)
select distinct r.rolname as role from reach x join pg_roles r on r.oid = x.role
where not r.rolsuper and not r.rolbypassrls and r.rolname !~ '^pg_'
order by 1
