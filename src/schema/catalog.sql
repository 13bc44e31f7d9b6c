-- Everything that is declared in user schemas, one row of text for each thing.
-- Assumes: search_path = pg_catalog, so that regclass and the like spell user names in full.
-- Left out: the server's own schemas, the stamp (schema overnight), members of extensions, and what
-- the server makes by itself under names of its own choice (internal triggers, the partition-wise
-- copies of a foreign key on the side of the referenced table).
WITH member AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), ns AS (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl
  FROM pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'overnight')
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = n.oid)
), rel AS (
  SELECT c.*, c.oid::regclass::text AS ident
  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
), tab AS (
  SELECT * FROM rel WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
), typ AS (
  SELECT t.*, t.oid::regtype::text AS ident
  FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
  WHERE t.typtype IN ('b', 'd', 'e', 'r') AND t.typcategory <> 'A'
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
), fun AS (
  SELECT p.*, p.oid::regprocedure::text AS ident
  FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
), acl (what, acl, defaults) AS (
  SELECT format('schema %I', nspname), nspacl, acldefault('n', nspowner) FROM ns
  UNION ALL
  SELECT 'relation ' || ident, relacl,
         acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)
  FROM rel WHERE relkind NOT IN ('i', 'I')
  UNION ALL
  SELECT format('column %s.%I', tab.ident, a.attname), a.attacl, '{}'::aclitem[]
  FROM tab JOIN pg_attribute a ON a.attrelid = tab.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'function ' || ident, proacl, acldefault('f', proowner) FROM fun
  UNION ALL
  SELECT 'type ' || ident, typacl, acldefault('T', typowner) FROM typ
  UNION ALL
  SELECT format('new %s of %s in %s', d.defaclobjtype, d.defaclrole::regrole,
                coalesce(ns.nspname, 'every schema')), d.defaclacl, '{}'::aclitem[]
  FROM pg_default_acl d LEFT JOIN ns ON ns.oid = d.defaclnamespace
  WHERE d.defaclnamespace = 0 OR ns.oid IS NOT NULL
), entry (line) AS (

  SELECT format('schema %I: owner %s', nspname, nspowner::regrole) FROM ns

  UNION ALL
  SELECT format('extension %I: version %s, schema %I', extname, extversion, n.nspname)
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace

  UNION ALL
  SELECT format('grants on %s: %s', acl.what, given.list)
  FROM acl,
       LATERAL (SELECT string_agg(i::text, ' ' ORDER BY i::text COLLATE "C") FROM unnest(acl.acl) i) AS given (list),
       LATERAL (SELECT string_agg(i::text, ' ' ORDER BY i::text COLLATE "C") FROM unnest(acl.defaults) i) AS usual (list)
  WHERE acl.acl IS NOT NULL AND given.list IS DISTINCT FROM usual.list

  UNION ALL
  SELECT concat(
    CASE relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'partitioned table ' WHEN 'f' THEN 'foreign table '
      WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'composite type ' END,
    ident, ': owner ', relowner::regrole,
    CASE relpersistence WHEN 'u' THEN ', unlogged' WHEN 't' THEN ', temporary' END,
    ', method ' || (SELECT amname FROM pg_am WHERE pg_am.oid = relam),
    ', tablespace ' || (SELECT quote_ident(spcname) FROM pg_tablespace s WHERE s.oid = reltablespace),
    ', partition by ' || pg_get_partkeydef(tab.oid),
    (SELECT string_agg(', child of ' || i.inhparent::regclass::text, '' ORDER BY i.inhseqno)
     FROM pg_inherits i WHERE i.inhrelid = tab.oid),
    ' ' || pg_get_expr(relpartbound, tab.oid),
    ', of type ' || nullif(reloftype, 0)::regtype::text,
    ', with ' || array_to_string(reloptions, ', '),
    ', toast with ' || (SELECT array_to_string(t.reloptions, ', ') FROM pg_class t WHERE t.oid = reltoastrelid),
    CASE relreplident WHEN 'f' THEN ', replica identity full' WHEN 'n' THEN
      CASE WHEN relkind IN ('r', 'p') THEN ', replica identity nothing' END
      WHEN 'i' THEN ', replica identity index' END,
    CASE WHEN relrowsecurity THEN ', row security' END,
    CASE WHEN relforcerowsecurity THEN ', row security forced' END,
    CASE WHEN relkind IN ('v', 'm') THEN ': ' || pg_get_viewdef(tab.oid) END,
    (SELECT format(': server %I, options %s', s.srvname, f.ftoptions)
     FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = tab.oid))
  FROM tab

  UNION ALL
  SELECT concat('column ', tab.ident, '.', quote_ident(a.attname), ': #',
    (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = a.attrelid AND b.attnum BETWEEN 1 AND a.attnum
       AND NOT b.attisdropped),
    ' ', format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation
      THEN ' collate ' || a.attcollation::regcollation::text END,
    CASE WHEN a.attnotnull THEN ' not null' END,
    CASE a.attidentity WHEN 'a' THEN ' identity always' WHEN 'd' THEN ' identity by default' END,
    CASE a.attgenerated WHEN 's' THEN ' generated stored' WHEN 'v' THEN ' generated virtual' END,
    ' default ' || (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                    WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
    CASE WHEN a.attstorage <> t.typstorage THEN ' storage ' || a.attstorage::text END,
    CASE WHEN j.compression <> '' THEN ' compression ' || j.compression END,
    CASE WHEN j.target >= 0 THEN ' statistics ' || j.target END,
    -- The server itself (seen in 15.20) writes pg_attver here, other in every database: no declaration.
    ' with ' || (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%'),
    ' options ' || array_to_string(a.attfdwoptions, ', '),
    CASE WHEN NOT a.attislocal THEN ' inherited' END,
    CASE WHEN a.attinhcount > 0 THEN ' from ' || a.attinhcount || ' parents' END)
  FROM tab
  JOIN pg_attribute a ON a.attrelid = tab.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid,
  -- Columns of the catalog that not every supported version has, or that became nullable.
  LATERAL (SELECT to_jsonb(a) ->> 'attcompression', (to_jsonb(a) ->> 'attstattarget')::int) AS j (compression, target)

  UNION ALL
  SELECT concat('constraint ', quote_ident(c.conname), ' on ', coalesce(tab.ident, 'domain ' || typ.ident), ': ',
    pg_get_constraintdef(c.oid),
    CASE WHEN NOT c.convalidated THEN ', not validated' END,
    CASE WHEN c.condeferrable THEN ', deferrable' END,
    CASE WHEN c.condeferred THEN ', deferred' END,
    -- From PostgreSQL 18 on NOT NULL is a row here, and a primary key that is built for a partition on its
    -- own makes an inherited one local as well; what the partition takes is the same.
    CASE WHEN NOT c.conislocal AND c.contype <> 'n' THEN ', inherited' END,
    CASE WHEN c.coninhcount > 0 THEN ', from ' || c.coninhcount || ' parents' END,
    -- Of a CHECK it is declared; a key that is a part has it or not by the way it was attached.
    CASE WHEN c.connoinherit AND c.contype = 'c' THEN ', no inherit' END,
    ', index ' || nullif(c.conindid, 0)::regclass::text,
    ', part of ' || (SELECT quote_ident(p.conname) FROM pg_constraint p WHERE p.oid = c.conparentid))
  FROM pg_constraint c
  LEFT JOIN tab ON tab.oid = c.conrelid
  LEFT JOIN typ ON typ.oid = c.contypid
  WHERE c.contype <> 't' AND (tab.oid IS NOT NULL OR typ.oid IS NOT NULL)
    AND NOT (c.contype = 'f' AND EXISTS (
      SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid))

  UNION ALL
  SELECT concat('index ', rel.ident, ': ', pg_get_indexdef(rel.oid),
    CASE WHEN NOT x.indisvalid THEN ', invalid' END,
    CASE WHEN NOT x.indisready THEN ', not ready' END,
    CASE WHEN NOT x.indimmediate THEN ', not immediate' END,
    CASE WHEN x.indisprimary THEN ', primary' END,
    CASE WHEN x.indisclustered THEN ', clustered' END,
    CASE WHEN x.indisreplident THEN ', replica identity' END,
    ', tablespace ' || (SELECT quote_ident(spcname) FROM pg_tablespace s WHERE s.oid = rel.reltablespace),
    (SELECT string_agg(format(', statistics of column %s %s', a.attnum, a.attstattarget), '' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = rel.oid AND a.attstattarget >= 0),
    ', part of ' || (SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = rel.oid))
  FROM rel JOIN pg_index x ON x.indexrelid = rel.oid

  UNION ALL
  SELECT concat('sequence ', rel.ident, ': owner ', rel.relowner::regrole, ' ', format_type(s.seqtypid, NULL),
    ' start ', s.seqstart, ' increment ', s.seqincrement, ' min ', s.seqmin, ' max ', s.seqmax,
    ' cache ', s.seqcache, CASE WHEN s.seqcycle THEN ' cycle' END,
    (SELECT format(', of column %s.%I', d.refobjid::regclass, a.attname)
     FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.deptype IN ('a', 'i')
       AND d.refclassid = 'pg_class'::regclass))
  FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid

  UNION ALL
  SELECT concat('type ', typ.ident, ': owner ', typ.typowner::regrole, ' ',
    CASE typ.typtype
      WHEN 'e' THEN 'enum ' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                                FROM pg_enum e WHERE e.enumtypid = typ.oid)
      WHEN 'd' THEN 'domain ' || format_type(typ.typbasetype, typ.typtypmod)
      WHEN 'r' THEN 'range of ' || (SELECT r.rngsubtype::regtype::text FROM pg_range r WHERE r.rngtypid = typ.oid)
      ELSE 'base' END,
    CASE WHEN typ.typtype = 'd' AND typ.typcollation <> 0 THEN ' collate ' || typ.typcollation::regcollation::text END,
    CASE WHEN typ.typnotnull THEN ' not null' END,
    ' default ' || pg_get_expr(typ.typdefaultbin, 0))
  FROM typ

  UNION ALL
  SELECT concat('function ', fun.ident, ': owner ', fun.proowner::regrole, ' ',
    CASE WHEN fun.prokind = 'a' THEN
      (SELECT format('aggregate %s(%s) state %s start %s final %s', a.aggtransfn,
              pg_get_function_arguments(fun.oid), a.aggtranstype::regtype, a.agginitval, a.aggfinalfn)
       FROM pg_aggregate a WHERE a.aggfnoid = fun.oid)
    ELSE pg_get_functiondef(fun.oid) END)
  FROM fun

  UNION ALL
  SELECT concat('trigger on ', tab.ident, ': ', pg_get_triggerdef(t.oid),
    CASE t.tgenabled WHEN 'O' THEN '' ELSE ', enabled ' || t.tgenabled::text END)
  FROM pg_trigger t JOIN tab ON tab.oid = t.tgrelid WHERE NOT t.tgisinternal

  UNION ALL
  SELECT concat('rule: ', pg_get_ruledef(r.oid), CASE r.ev_enabled WHEN 'O' THEN '' ELSE ', enabled ' || r.ev_enabled::text END)
  FROM pg_rewrite r JOIN tab ON tab.oid = r.ev_class WHERE r.rulename <> '_RETURN'

  UNION ALL
  SELECT concat('policy ', quote_ident(p.polname), ' on ', tab.ident, ': for ', p.polcmd,
    CASE WHEN p.polpermissive THEN ' permissive' ELSE ' restrictive' END, ' to ',
    (SELECT string_agg(CASE r.oid WHEN 0 THEN 'public' ELSE r.oid::regrole::text END, ', '
                       ORDER BY r.oid::regrole::text COLLATE "C") FROM unnest(p.polroles) AS r (oid)),
    ' using ' || pg_get_expr(p.polqual, p.polrelid), ' check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy p JOIN tab ON tab.oid = p.polrelid

  UNION ALL
  SELECT concat('statistics: ', pg_get_statisticsobjdef(s.oid), ', owner ', s.stxowner::regrole,
    CASE WHEN s.stxstattarget >= 0 THEN ', target ' || s.stxstattarget END)
  FROM pg_statistic_ext s JOIN tab ON tab.oid = s.stxrelid

  UNION ALL
  -- Rare things: that they exist, under their full name.
  SELECT concat(i.type, ' ', i.identity)
  FROM (
    SELECT 'pg_operator'::regclass AS class, oid, oprnamespace AS nsp FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace FROM pg_opfamily
    UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
  ) AS o
  JOIN ns ON ns.oid = o.nsp, LATERAL pg_identify_object(o.class, o.oid, 0) i
  WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = o.class AND m.objid = o.oid)

  UNION ALL
  -- Identifiers below 16384 belong to the server.
  SELECT format('comment on %s %s: %s', i.type, i.identity, quote_literal(d.description))
  FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i,
       LATERAL pg_identify_object_as_address(d.classoid, d.objoid, d.objsubid) a
  WHERE d.objoid >= 16384 AND coalesce(i.schema, '') <> 'overnight' AND a.object_names[1] <> 'overnight'
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = d.classoid AND m.objid = d.objoid)
)
SELECT replace(line, E'\n', '\n') FROM entry ORDER BY line COLLATE "C"
