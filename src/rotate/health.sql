-- What the ledger and the catalog say of the alias $1, in one snapshot: the live build, the database
-- with its OID, whether another database has its name, the database with the alias's name, the pointer,
-- and whether a move is open.
select b.name,
       own.oid, own.datname::text, own.datallowconn and own.datconnlimit not in (0, -2),
       exists (select from pg_database n where n.datname = b.name and n.oid is distinct from b.database_oid),
       alias.oid, alias.datname::text, alias.datallowconn and alias.datconnlimit not in (0, -2),
       pointer.database,
       exists (select from ledger.flip f where f.dataset = d.dataset and f.state in ('intent', 'switched'))
from ledger.dataset d
left join ledger.build b on b.id = d.live_build
left join pg_database own on own.oid = b.database_oid
left join pg_database alias on alias.datname = d.dataset
left join overnight.alias pointer on pointer.dataset = d.dataset
where d.dataset = $1
