-- Whether a session is still in the transaction that db handler_session has begun: 'open', else null or empty.
-- Called by: engine attempt_services, when a completion has found nothing. Lock order: none. Errors: none.
select current_setting('postmill.transaction', true)
