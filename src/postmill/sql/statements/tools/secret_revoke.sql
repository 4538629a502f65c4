-- Takes a secret from a role. Called by the command line. Arguments, locks and errors as postmill.revoke_secret.
select postmill.revoke_secret($1::text, $2::name)
