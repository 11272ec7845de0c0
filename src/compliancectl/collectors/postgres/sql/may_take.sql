-- Whether the asking role may become another: from PostgreSQL 16 that is a privilege of its own, before it is membership.
-- parameters: role
select pg_has_role(session_user, $1::text, case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) as may_take,
       session_user as asks
