-- What ANALYZE found out about the columns of table $2 in schema $1: a sample, but of things that an exact
-- count cannot tell in one pass. The commonest values leave the server only as hashes. Of a
-- partitioned table, the statistics of the whole.
select s.attname::text, s.n_distinct::float8, s.avg_width, s.correlation::float8,
       (select array_agg(hashtextextended(v.value, 0) order by v.place)
        from unnest(s.most_common_vals::text::text[]) with ordinality as v (value, place) where v.place <= 50),
       (s.most_common_freqs::float8[])[1:50]
from pg_stats s
where s.schemaname = $1 and s.tablename = $2
  and s.inherited = (select c.relkind = 'p' from pg_class c join pg_namespace n on n.oid = c.relnamespace
                     where n.nspname = $1 and c.relname = $2)
