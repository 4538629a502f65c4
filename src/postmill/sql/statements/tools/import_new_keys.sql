-- Those of the keys $2 of source $1 that were not copied yet.
-- A scalar subquery looks each key up by the index; "not exists" is planned as a walk through all marks for each page.
-- Called by the importers. Takes no locks. Errors: insufficient_privilege.
select given.key
from unnest($2::text[]) as given (key)
where (select true from postmill.imported as known where known.source = $1::text and known.key = given.key) is null
