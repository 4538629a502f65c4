-- The text as a part of a URL: bytes of its UTF-8 form, all but letters, digits and -._~ as %XX (RFC 3986).
-- Called by _with_params. Takes no locks. Errors: none.
create or replace function postmill._url_encoded(part text) returns text
language sql immutable strict
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg(
        case when code between 48 and 57 or code between 65 and 90 or code between 97 and 122
                  or code in (45, 46, 95, 126) then chr(code)
             else '%' || upper(lpad(to_hex(code), 2, '0')) end, '' order by place), '')
    from (select place, get_byte(bytes, place) as code
          from convert_to(part, 'UTF8') as bytes, generate_series(0, length(bytes) - 1) as place) as coded
$$;
