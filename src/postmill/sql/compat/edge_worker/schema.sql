-- The names that people with Edge Worker dashboards query; made only where no schema edge_worker is here already.
-- Which workers are active, the views of schema postmill say.
create schema if not exists edge_worker;
comment on schema edge_worker is 'Facade edge_worker of Postmill: the views people know from Edge Worker.';
