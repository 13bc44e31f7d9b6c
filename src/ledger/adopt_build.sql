-- Writes the row of a build ($1 dataset, $2 name, $3 nonce, $4 OID, $5 state, $6 schema version,
-- $7 input digest, $8 tool version, $9 created, $10 verified, $11 rolled back) from its stamp, or brings
-- the row with its nonce up to date. Returns the row's number, and whether anything has changed.
with known as (
    select id, state, database_oid from ledger.build where name = $2 and nonce = $3
), updated as (
    update ledger.build b set
        database_oid = $4,
        state = $5,
        verified_at = coalesce(b.verified_at, $10::text::timestamptz),
        published_at = case when $5 in ('published', 'tombstone')
            then coalesce(b.published_at, $10::text::timestamptz) else b.published_at end,
        rolled_back_at = case when $11 then coalesce(b.rolled_back_at, clock_timestamp()) else b.rolled_back_at end,
        tombstoned_at = case when $5 = 'tombstone' then coalesce(b.tombstoned_at, clock_timestamp()) end,
        dropped_at = null
    from known where b.id = known.id
    returning b.id, known.state <> $5 or known.database_oid is distinct from $4 as changed
), added as (
    insert into ledger.build (id, dataset, name, nonce, database_oid, state, schema_version, input_digest,
        tool_version, created_at, verified_at, published_at, rolled_back_at, tombstoned_at)
    overriding system value
    select case
            when $9::text::timestamptz < (select min(created_at) from ledger.build where dataset = $1)
            then (select min(id) - 1 from ledger.build)
            else nextval(pg_get_serial_sequence('ledger.build', 'id'))
        end,
        $1, $2, $3, $4, $5, $6, $7, $8, $9::text::timestamptz, $10::text::timestamptz,
        case when $5 in ('published', 'tombstone') then $10::text::timestamptz end,
        case when $11 then clock_timestamp() end,
        case when $5 = 'tombstone' then clock_timestamp() end
    where not exists (select from known)
    returning id, true as changed
)
select id, changed from updated union all select id, changed from added
