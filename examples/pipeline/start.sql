-- Three functions, chained: each picture is drawn, then made small in two widths (fan-out), then all small ones are put
-- on sheets (fan-in). Every seventh picture is broken, and its copies fail: "what there is" is made without it, and
-- "complete", which wants every picture, is cancelled.
select postmill.create_call_queue('draw', function => 'draw', workers => 2, max_attempts => 1);
select postmill.create_call_queue('resize', function => 'resize', workers => 2, max_attempts => 1);
select postmill.create_call_queue('sheet', function => 'sheet', workers => 1, max_attempts => 3);

create or replace function start_pictures(folder text, pictures integer) returns text
language plpgsql as $$
declare
    drawn text[];
    small text[] := '{}';
begin
    drawn := array(
        select 'draw:' || id from postmill.send_batch('draw', array(
            select jsonb_build_object('folder', folder, 'number', n) from generate_series(1, pictures) as n)) as id);
    for width in 80..160 by 80 loop
        small := small || array(
            select 'resize:' || id from postmill.send_batch('resize',
                array(select jsonb_build_object('folder', folder, 'number', n, 'width', width)
                      from generate_series(1, pictures) as n),
                after => array(select jsonb_build_array(ref) from unnest(drawn) as ref)) as id);
    end loop;
    perform postmill.send('sheet', jsonb_build_object('folder', folder, 'width', 160, 'name', 'what there is'),
                          after => small, on_source_dead => 'skip');
    perform postmill.send('sheet', jsonb_build_object('folder', folder, 'width', 160, 'name', 'complete'),
                          after => small);
    return format('%s pictures, %s messages', pictures, 3 * pictures + 2);
end
$$;

-- Every night from now on.
select postmill.schedule_sql('nightly-pictures', '0 2 * * *', $$select start_pictures('/tmp/pictures', 20)$$,
                             timezone => 'Europe/Berlin');

-- And now.
select start_pictures('/tmp/pictures', 20);
