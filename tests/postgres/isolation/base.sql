-- What every variant begins with: members and notes of two tenants, forced row-level security, one policy by tenant.
create schema {s} authorization schema_owner;
grant usage on schema {s} to app;
set role schema_owner;
create table {s}.members (
  tenant_id uuid not null, user_id uuid not null, level text not null default 'member', primary key (tenant_id, user_id));
create table {s}.notes (
  id uuid primary key default gen_random_uuid(), tenant_id uuid not null, owner_id uuid, owner_name text,
  body text, published boolean not null default false, deleted_at timestamptz, unique (tenant_id, id));
alter table {s}.members enable row level security;
alter table {s}.members force row level security;
alter table {s}.notes enable row level security;
alter table {s}.notes force row level security;
create policy tenant on {s}.members using (tenant_id = {tenant});
create policy tenant on {s}.notes using (tenant_id = {tenant});
grant select on {s}.members to app;
grant select, insert, update, delete on {s}.notes to app;
reset role;
insert into {s}.members (tenant_id, user_id, level) values ('{A}', '{ua}', 'admin'), ('{B}', '{ub}', 'member');
insert into {s}.notes (tenant_id, owner_id, owner_name, body)
  values ('{A}', '{ua}', 'ann', 'SEEDED-SECRET-1'), ('{A}', '{ua}', 'ann', 'SEEDED-SECRET-2'), ('{B}', '{ub}', 'bob', 'SEEDED-SECRET-3');
