-- The aliases of the newest move forward of a group ($1) of which at least one still leads where it was
-- moved to. Earlier ones that were gone back from altogether are passed over.
with moved as (
    select f.act, f.dataset, f.from_build, d.live_build = f.to_build as live
    from ledger.flip f join ledger.dataset d using (dataset)
    where f.group_name = $1 and f.kind = 'rotate' and f.state in ('switched', 'confirmed', 'superseded')
)
select dataset, from_build, coalesce(live, false)
from moved
where act = (select max(act) from moved where live)
order by dataset
