-- Those of the ended messages, the rows of the CTE `gone`, whose headers say that something follows their end: see the
-- function _ended, which is called for them in the same statement, so that both happen or neither does.
-- Part of the statements complete, dead_letter and cancel_running. Takes no locks.
followed as ( --? headers
    select array_agg(msg_id) as ids, array_agg(headers) as headers --? headers
      from gone --? headers
     where headers ?| array['postmill-dependents', 'postmill-then', 'postmill-else', 'postmill-run'] --? headers
        or jsonb_typeof(headers) <> 'object' --? headers
), --? headers
