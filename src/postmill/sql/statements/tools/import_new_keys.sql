-- Those of the keys $2 of source $1 that were not copied yet.
-- Called by the importers. Takes no locks. Errors: insufficient_privilege.
select given.key
from unnest($2::text[]) as given (key)
where not exists (select from postmill.imported as known where known.source = $1::text and known.key = given.key)
