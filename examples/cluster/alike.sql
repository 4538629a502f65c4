-- The pairs of documents that resemble each other most: the share of equal numbers in their signatures.
select one.file as one, other.file as other, round(alike.share, 2) as alike
from public.signatures as one
join public.signatures as other on one.file < other.file
cross join lateral (
    select avg((pair.x = pair.y)::integer) as share from unnest(one.signature, other.signature) as pair (x, y)
) as alike
order by alike.share desc, one.file, other.file
limit 5
