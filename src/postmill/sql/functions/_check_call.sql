-- Refuses a call that can't be made: an address that is not HTTP's, headers that are no object of texts, a time limit
-- or a number of attempts out of its range. A URL may begin with a secret.
-- Called by _call_of and create_call_queue. Takes no locks. Errors: PM003.
create or replace function postmill._check_call(
    url text, headers jsonb, timeout_ms bigint, max_attempts integer
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if url !~* $re$^https?://[^/?#\s]$re$ and url !~ $re$^\{\{secret:[^{}\s"]+\}\}$re$ then
        raise exception '% is no address of a web server', quote_literal(left(url, 100))
            using errcode = 'PM003', hint = 'It begins with https:// or http://.';
    elsif jsonb_typeof(headers) <> 'object' then
        raise exception 'headers must be a JSON object, not %', jsonb_typeof(headers)
            using errcode = 'PM003', hint = 'For example: ''{"accept": "application/json"}''.';
    elsif exists (select from jsonb_each(headers) as header
                  where jsonb_typeof(header.value) in ('object', 'array')
                     or header.key !~ '^[-!#$%&''*+.^_`|~0-9A-Za-z]+$'
                     or header.value #>> '{}' ~ $re$[\x01-\x08\n-\x1f\x7f]$re$)
    then
        raise exception 'headers have a name or a value that can''t be sent'
            using errcode = 'PM003', hint = 'Names are words without spaces; values are texts of one line.';
    elsif coalesce(timeout_ms not between 1 and 3600000, true) then
        raise exception 'the time limit of a call lies between 1 ms and 1 hour, not %', timeout_ms
            using errcode = 'PM003', hint = 'Five seconds are the default.';
    elsif coalesce(max_attempts not between 1 and 100, true) then
        raise exception 'max_attempts lies between 1 and 100, not %', max_attempts
            using errcode = 'PM003', hint = 'With 1 a call is sent once at most.';
    end if;
end
$$;
