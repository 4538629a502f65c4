-- Whether the key with the id $1, issued to the name $2 at $3 (seconds since 1970), is revoked.
-- Called by the dashboard and the API for each request with an issued key. Takes no locks. Errors: none.
select exists (
    select from postmill.revoked_keys as gone
    where gone.subject = $1::text
       or gone.subject = $2::text and gone.at >= to_timestamp($3::float8)
) as revoked
