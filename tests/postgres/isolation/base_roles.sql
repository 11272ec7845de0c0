-- Notes of two tenants, each with a role of its own.
create schema {s} authorization schema_owner;
grant usage on schema {s} to tenant_a, tenant_b;
set role schema_owner;
create table {s}.notes (id int generated always as identity primary key, tenant_id text not null, body text);
alter table {s}.notes enable row level security;
create policy tenant on {s}.notes using (tenant_id = current_user);
grant select, insert, update, delete on {s}.notes to tenant_a, tenant_b;
reset role;
insert into {s}.notes (tenant_id, body) values ('tenant_a', 'SEEDED-SECRET-1'), ('tenant_b', 'SEEDED-SECRET-2');
