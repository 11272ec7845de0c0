-- Posts of users, each user a tenant; claims come as JSON in request.jwt.claims.
create schema {s} authorization schema_owner;
grant usage on schema {s} to authenticated, anon;
set role schema_owner;
create table {s}.posts (
  id bigint generated always as identity primary key, user_id uuid not null, body text, is_public boolean not null default false);
alter table {s}.posts enable row level security;
create policy own on {s}.posts to authenticated using (auth.uid() = user_id);
grant select, insert, update, delete on {s}.posts to authenticated;
reset role;
insert into {s}.posts (user_id, body) values ('{A}', 'SEEDED-SECRET-1'), ('{B}', 'SEEDED-SECRET-2');
