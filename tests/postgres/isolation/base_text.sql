-- Notes of two tenants, one called by the beginning of the other's name.
create schema {s} authorization schema_owner;
grant usage on schema {s} to app;
set role schema_owner;
create table {s}.notes (id int generated always as identity primary key, tenant_id text not null, owner_name text, body text);
alter table {s}.notes enable row level security;
create policy tenant on {s}.notes using (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, update, delete on {s}.notes to app;
reset role;
insert into {s}.notes (tenant_id, body) values ('{TA}', 'SEEDED-SECRET-1'), ('{TB}', 'SEEDED-SECRET-2');
