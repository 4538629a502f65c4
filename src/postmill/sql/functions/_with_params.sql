-- The URL with `params` (an object of texts) in its query. A fragment is left out: no server gets it. A secret can't
-- stand in params: its name would be encoded, and sent in place of its value.
-- Called by _call_of. Takes no locks. Errors: PM003.
create or replace function postmill._with_params(url text, params jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    bare  constant text := split_part(url, '#', 1);
    query text;
begin
    if params is null or params = '{}' then
        return url;
    elsif jsonb_typeof(params) <> 'object' then
        raise exception 'params must be a JSON object, not %', jsonb_typeof(params)
            using errcode = 'PM003', hint = 'For example: ''{"page": "2"}''.';
    elsif params::text ~ $re$\{\{secret:$re$ then
        raise exception 'params can''t have a secret'
            using errcode = 'PM003', hint = 'Put {{secret:NAME}} into the URL itself, or into a header.';
    end if;
    select string_agg(postmill._url_encoded(key) || '=' || postmill._url_encoded(coalesce(value, '')), '&')
    into query from jsonb_each_text(params);
    return bare || case when bare ~ '[?&]$' then '' when position('?' in bare) > 0 then '&' else '?' end || query;
end
$$;
