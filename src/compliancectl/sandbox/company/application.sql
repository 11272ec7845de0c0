-- The database of the Larkspur Study Companion: many schools in one database, kept apart by row-level security.
-- Loaded by the sandbox as the bootstrap superuser into the empty database `app`, owned by app_owner.

-- Who there is. cloudsqladmin and cloudsqlsuperuser are what Cloud SQL makes by itself.
create role cloudsqlsuperuser nologin createrole createdb;
grant cloudsqlsuperuser to postgres;
create role app login;
create role compliance_agg nologin;
create role compliance_ro login;
create role "compliance-reader@larkspur-prod.iam" login;

revoke all on database app from public;
revoke all on schema public from public;
grant connect on database app to app, compliance_ro, "compliance-reader@larkspur-prod.iam";
grant pg_read_all_settings to compliance_ro, "compliance-reader@larkspur-prod.iam";
-- To probe isolation the collector becomes the application's role, whose rights it does not have by itself.
grant app to compliance_ro, "compliance-reader@larkspur-prod.iam" with inherit false, set true;
grant usage on schema public to app, app_owner, compliance_agg;
grant create on schema public to app_owner;

-- The cluster's own number is another one in each sandbox; without it the same company gives the same evidence.
revoke execute on function pg_control_system() from public;

-- A secret where applications tend to keep one: in a setting of their role.
alter role app set app.signing_key = 'SEEDED-SECRET-signing-key';

set role app_owner;

create table public.subject_areas (
  id int primary key, name text not null unique);
create table public.schema_migrations (
  version text primary key, applied_at timestamptz not null default now());

create table public.role_permissions (
  role text not null, permission text not null, primary key (role, permission));

create table public.organizations (
  id uuid primary key, name text not null, plan text not null default 'school', external_sharing boolean not null default false,
  created_at timestamptz not null default now(), deleted_at timestamptz);
create table public.users (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  email text not null, first_name text not null, last_name text not null, avatar_url text, role_id int not null default 1,
  locale text not null default 'en', password_hash text check (password_hash like '$%'), created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(), deleted_at timestamptz, last_login_at timestamptz, unique (organization_id, email));
create table public.identities (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  user_id uuid not null references public.users on delete cascade, provider text not null check (provider in ('google', 'microsoft', 'password')));
create table public.api_tokens (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  user_id uuid not null references public.users on delete cascade, name text not null, token_hash bytea not null check (octet_length(token_hash) = 32),
  created_at timestamptz not null default now(), expires_at timestamptz not null, revoked_at timestamptz);
create table public.org_credits (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null unique references public.organizations on delete cascade,
  balance bigint not null check (balance >= 0));
create table public.agents (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  name text not null, instructions text not null default 'Questions go to seeded-person-99@students.example', subject_area_id int references public.subject_areas,
  created_at timestamptz not null default now(), deleted_at timestamptz);
create table public.knowledge_collections (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  name text not null, created_at timestamptz not null default now());
create table public.documents (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  collection_id uuid not null references public.knowledge_collections on delete cascade, title text not null, body text not null default '');
create table public.conversations (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  user_id uuid not null references public.users on delete cascade, agent_id uuid references public.agents on delete cascade,
  title text not null default '', created_at timestamptz not null default now(), deleted_at timestamptz);
create table public.messages (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  conversation_id uuid not null references public.conversations on delete cascade, role text not null, body text not null,
  created_at timestamptz not null default now());
create table public.share_links (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  conversation_id uuid not null references public.conversations on delete cascade,
  token text not null unique check (length(token) >= 22), visibility text not null default 'organization' check (visibility in ('organization', 'external')),
  redact_pii boolean not null default true, created_by uuid not null references public.users on delete cascade,
  created_at timestamptz not null default now(), expires_at timestamptz not null);
-- Unlogged: a restore empties it, so what was temporary does not come back from a backup.
create unlogged table public.temporary_chats (
  id uuid primary key default gen_random_uuid(), organization_id uuid not null references public.organizations on delete cascade,
  body text not null, created_at timestamptz not null default now());
create table public.audit_events (
  id bigint generated always as identity primary key, organization_id uuid not null references public.organizations on delete cascade,
  actor_id uuid references public.users on delete set null, action text not null, at timestamptz not null default now());

do $$
declare t text;
begin
  foreach t in array array['users', 'identities', 'api_tokens', 'org_credits', 'agents', 'knowledge_collections', 'documents', 'conversations', 'messages',
                           'share_links', 'temporary_chats', 'audit_events'] loop
    execute format('create index on public.%I (organization_id)', t);
    execute format('alter table public.%I enable row level security', t);
    execute format('alter table public.%I force row level security', t);
    execute format($p$create policy tenant on public.%I
      using (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
      with check (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)$p$, t);
    execute format('grant select, insert, update, delete on public.%I to app', t);
  end loop;
end $$;
alter table public.organizations enable row level security;
alter table public.organizations force row level security;
create policy tenant on public.organizations
  using (id = nullif(current_setting('app.organization_id', true), '')::uuid)
  with check (id = nullif(current_setting('app.organization_id', true), '')::uuid);
grant select, update on public.organizations to app;
grant select on public.subject_areas, public.role_permissions to app;

create view public.conversation_overview with (security_invoker = true) as
  select c.id, c.title, count(m.id) as messages
  from public.conversations c left join public.messages m on m.conversation_id = c.id group by c.id, c.title;
grant select on public.conversation_overview to app;

-- Roles and permissions hold nobody's data; the collector compares them with what is published.
grant usage on schema public to compliance_ro, "compliance-reader@larkspur-prod.iam";
grant select (role, permission) on public.role_permissions to compliance_ro, "compliance-reader@larkspur-prod.iam";

-- How the collector counts what should be gone, without seeing a row: counts alone leave these functions.
reset role;
create schema compliance;
grant usage on schema compliance to compliance_ro, "compliance-reader@larkspur-prod.iam", compliance_agg;
grant select (deleted_at) on public.users, public.agents, public.conversations to compliance_agg;
grant select (created_at) on public.temporary_chats to compliance_agg;
create policy compliance_aggregate on public.users for select to compliance_agg using (true);
create policy compliance_aggregate on public.agents for select to compliance_agg using (true);
create policy compliance_aggregate on public.conversations for select to compliance_agg using (true);
create policy compliance_aggregate on public.temporary_chats for select to compliance_agg using (true);

create function compliance.user_purge(purge interval)
  returns table (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
    select count(*), count(deleted_at), count(*) filter (where deleted_at < now() - purge), min(deleted_at) from public.users $$;
create function compliance.agent_purge(purge interval)
  returns table (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
    select count(*), count(deleted_at), count(*) filter (where deleted_at < now() - purge), min(deleted_at) from public.agents $$;
create function compliance.conversation_purge(purge interval)
  returns table (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
    select count(*), count(deleted_at), count(*) filter (where deleted_at < now() - purge), min(deleted_at) from public.conversations $$;
create function compliance.temporary_chat_purge(purge interval)
  returns table (total bigint, overdue bigint, oldest_created_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
    select count(*), count(*) filter (where created_at < now() - purge), min(created_at) from public.temporary_chats $$;
do $$
declare f text;
begin
  foreach f in array array['user_purge', 'agent_purge', 'conversation_purge', 'temporary_chat_purge'] loop
    execute format('alter function compliance.%I(interval) owner to compliance_agg', f);
    execute format('revoke all on function compliance.%I(interval) from public', f);
    execute format('grant execute on function compliance.%I(interval) to compliance_ro, "compliance-reader@larkspur-prod.iam"', f);
  end loop;
end $$;

-- Counts by class, and what is left of a school that left: made with `compliancectl postgres install-views --print`.
do $$
declare t text; columns text;
begin
  for t, columns in values ('users', 'organization_id, password_hash'), ('identities', 'organization_id, provider'),
      ('share_links', 'organization_id, visibility, redact_pii, expires_at'), ('organizations', 'id, external_sharing'),
      ('api_tokens', 'organization_id'), ('org_credits', 'organization_id'), ('agents', 'organization_id'),
      ('knowledge_collections', 'organization_id'), ('documents', 'organization_id'), ('conversations', 'organization_id'),
      ('messages', 'organization_id'), ('temporary_chats', 'organization_id'), ('audit_events', 'organization_id') loop
    execute format('grant select (%s) on public.%I to compliance_agg', columns, t);
    execute format('drop policy if exists compliance_aggregate on public.%I', t);
    execute format('create policy compliance_aggregate on public.%I for select to compliance_agg using (true)', t);
  end loop;
end $$;
create function compliance.password_hashes() returns table (class text, rows bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $body$
    select 'argon2id', count(*) filter (where password_hash ~ '^\$argon2id\$') from public.users
    union all select 'bcrypt', count(*) filter (where password_hash ~ '^\$2[aby]\$') from public.users
    union all select 'none', count(*) filter (where coalesce(password_hash, '') = '') from public.users
    union all select 'other', count(*) filter (where password_hash !~ '^\$(argon2id|2[aby])\$') from public.users $body$;
create function compliance.identity_providers() returns table (class text, rows bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $body$
    select provider::text, count(*) from public.identities group by 1 $body$;
create function compliance.share_links() returns table (class text, rows bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $body$
    with l as (
      select s.visibility = 'external' as external, s.redact_pii, t.external_sharing
      from public.share_links s join public.organizations t on t.id = s.organization_id where s.expires_at > now())
    select 'internal', count(*) filter (where not external) from l
    union all select 'external redacted', count(*) filter (where external and redact_pii) from l
    union all select 'external unredacted', count(*) filter (where external and redact_pii is not true) from l
    union all select 'external forbidden', count(*) filter (where external and external_sharing is not true) from l $body$;
create function compliance.rows_of_tenant(tenant text) returns table (relation text, rows bigint, total bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $body$
    select 'public.organizations', count(*) filter (where id::text = tenant), count(*) from public.organizations
    union all select 'public.users', count(*) filter (where organization_id::text = tenant), count(*) from public.users
    union all select 'public.identities', count(*) filter (where organization_id::text = tenant), count(*) from public.identities
    union all select 'public.api_tokens', count(*) filter (where organization_id::text = tenant), count(*) from public.api_tokens
    union all select 'public.org_credits', count(*) filter (where organization_id::text = tenant), count(*) from public.org_credits
    union all select 'public.agents', count(*) filter (where organization_id::text = tenant), count(*) from public.agents
    union all select 'public.knowledge_collections', count(*) filter (where organization_id::text = tenant), count(*) from public.knowledge_collections
    union all select 'public.documents', count(*) filter (where organization_id::text = tenant), count(*) from public.documents
    union all select 'public.conversations', count(*) filter (where organization_id::text = tenant), count(*) from public.conversations
    union all select 'public.messages', count(*) filter (where organization_id::text = tenant), count(*) from public.messages
    union all select 'public.share_links', count(*) filter (where organization_id::text = tenant), count(*) from public.share_links
    union all select 'public.temporary_chats', count(*) filter (where organization_id::text = tenant), count(*) from public.temporary_chats
    union all select 'public.audit_events', count(*) filter (where organization_id::text = tenant), count(*) from public.audit_events $body$;
do $$
declare f text;
begin
  foreach f in array array['password_hashes()', 'identity_providers()', 'share_links()', 'rows_of_tenant(text)'] loop
    execute format('alter function compliance.%s owner to compliance_agg', f);
    execute format('revoke all on function compliance.%s from public', f);
    execute format('grant execute on function compliance.%s to compliance_ro, "compliance-reader@larkspur-prod.iam"', f);
  end loop;
end $$;

-- Two schools with people, and what must never leave the database: addresses, hashes, tokens, what students wrote.
insert into public.subject_areas values (1, 'Mathematics'), (2, 'History'), (3, 'Biology');
insert into public.role_permissions values
  ('student', 'chat.write'), ('student', 'notes.read'), ('teacher', 'chat.write'), ('teacher', 'notes.read'), ('teacher', 'notes.write'),
  ('teacher', 'agents.manage'), ('administrator', 'agents.manage'), ('administrator', 'users.manage'), ('administrator', 'audit.read');
insert into public.schema_migrations (version) values ('0001'), ('0002');
insert into public.organizations (id, name) values
  ('00000000-0000-4000-8000-00000000000a', 'Aldermoor School'), ('00000000-0000-4000-8000-00000000000b', 'Birchwood College');
insert into public.users (organization_id, email, first_name, last_name, password_hash, created_at, deleted_at, last_login_at)
  select case when n % 2 = 0 then '00000000-0000-4000-8000-00000000000a' else '00000000-0000-4000-8000-00000000000b' end::uuid,
         format('seeded-person-%s@students.example', lpad(n::text, 2, '0')), 'Seeded', format('seeded-person-%s', n),
         format('$argon2id$v=19$m=65536,t=3,p=4$SEEDED-SECRET-hash-%s', n), now() - interval '400 days', case when n = 7 then date_trunc('day', now()) - interval '200 days' end, now() - interval '2 days'
  from generate_series(1, 40) n;
insert into public.identities (organization_id, user_id, provider)
  select organization_id, id, case when first_name = 'Seeded' and last_name like '%1' then 'password' when last_name like '%2' then 'microsoft' else 'google' end
  from public.users;
insert into public.api_tokens (organization_id, user_id, name, token_hash, expires_at)
  select organization_id, id, 'sync', sha256('SEEDED-SECRET-token'), now() + interval '90 days' from public.users where last_name like '%-4' or last_name like '%-5';
insert into public.org_credits (organization_id, balance) select id, 1000 from public.organizations;
insert into public.agents (organization_id, name, instructions, subject_area_id, deleted_at)
  select o.id, 'Tutor ' || s.name, 'Ask, do not tell. Contact seeded-person-01@students.example.', s.id,
         case when s.id = 3 then date_trunc('day', now()) - interval '90 days' end
  from public.organizations o cross join public.subject_areas s;
insert into public.knowledge_collections (organization_id, name) select id, 'Course notes' from public.organizations;
insert into public.documents (organization_id, collection_id, title) select organization_id, id, 'Week ' || n from public.knowledge_collections, generate_series(1, 5) n;
insert into public.conversations (organization_id, user_id, agent_id, title, created_at, deleted_at)
  select u.organization_id, u.id, a.id, 'Homework of ' || u.email, now() - interval '30 days',
         case when u.last_name like '%5' then date_trunc('day', now()) - interval '20 days' end
  from public.users u join public.agents a on a.organization_id = u.organization_id and a.deleted_at is null;
insert into public.messages (organization_id, conversation_id, role, body)
  select organization_id, id, 'student', 'My address is seeded-person-01@students.example, my key SEEDED-SECRET-note' from public.conversations;
insert into public.share_links (organization_id, conversation_id, token, created_by, expires_at)
  select organization_id, id, 'SEEDED-SECRET-share-' || id, user_id, now() + interval '7 days' from public.conversations limit 10;
update public.organizations set external_sharing = true where name = 'Aldermoor School';
update public.share_links set visibility = 'external' where organization_id = '00000000-0000-4000-8000-00000000000a';
insert into public.temporary_chats (organization_id, body, created_at)
  select id, 'SEEDED-SECRET-temporary', date_trunc('hour', now()) - make_interval(hours => h) from public.organizations, unnest(array[1, 20, 60]) h;
insert into public.audit_events (organization_id, action) select organization_id, 'login' from public.users;
