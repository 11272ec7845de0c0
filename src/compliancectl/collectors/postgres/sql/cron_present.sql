-- Whether pg_cron is installed in this database, and thus whether jobs can be scheduled by it at all.
select exists (select from pg_extension where extname = 'pg_cron') as installed
