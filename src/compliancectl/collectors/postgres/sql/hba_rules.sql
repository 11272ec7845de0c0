-- The server's connection rules as its files hold them; readable on a self-managed server with a grant, never on a managed one.
select to_jsonb(h) ->> 'file_name' as file, h.line_number, h.type, to_json(h.database)::text as databases, to_json(h.user_name)::text as users,
       h.address, h.netmask, h.auth_method, to_json(h.options)::text as options, h.error
from pg_hba_file_rules h
order by 1, 2
