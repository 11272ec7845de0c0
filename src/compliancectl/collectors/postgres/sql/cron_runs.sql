-- Jobs of pg_cron and their runs within the observation period; a job without a run in it is one row without times. The command is left out.
-- parameters: period_start, period_end
select j.jobid as job, j.jobname as job_name, j.schedule, j.active, d.runid as run, d.status,
       to_char(d.start_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as started,
       to_char(d.end_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ended
from cron.job j
left join cron.job_run_details d on d.jobid = j.jobid
  and d.start_time >= $1::timestamptz and d.start_time < $2::timestamptz
order by j.jobid, d.runid
