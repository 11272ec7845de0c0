-- Whether the provider manages the server, in which case its connection rules are not the customer's to read or to set.
-- parameters: through_connector
select $1::boolean as through_connector, r.rolname as administrator
from (select 1) one left join pg_roles r on r.rolname = 'cloudsqladmin' and r.rolsuper
