-- Lets a role have a secret filled into its calls. Called by the command line. Arguments, locks and errors as
-- postmill.grant_secret.
select postmill.grant_secret($1::text, $2::name)
