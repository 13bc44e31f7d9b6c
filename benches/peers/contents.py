"""Whether a contender ended with the same table as the others: rows, types, keys and indexes."""

from tables import TABLES


class Contents:
    """Remembers what each contender left; the reference is what psql loaded at the start."""

    def __init__(self):
        self.seen = {}
        self.differences = []

    def reference(self, server, database, source):
        """Keeps what every other contender must have."""
        table = TABLES[source.letter]
        rows, digest = server.sql(database, table.digest())[0]
        source.rows, source.digest = int(rows), digest
        source.types = server.sql(database, table.types())

    def check(self, contender, server, database, source, own=True, finished=True):
        """Looks at a contender once; says what differs. A difference of one of `own` fails the run.

        A peer that only loads is not `finished`: nothing is said about its indexes."""
        name = f"{contender} {server.name} {source.letter}"
        if name in self.seen:
            return self.seen[name]["finding"]
        table = TABLES[source.letter]
        findings = []
        rows, digest = server.sql(database, table.digest())[0]
        if int(rows) != source.rows:
            findings.append(f"{rows} rows instead of {source.rows}")
        elif digest != source.digest:
            findings.append("contents differ")
        types = server.sql(database, table.types())
        if types != source.types:
            expected = {row[0]: row[1:] for row in source.types}
            found = sorted({row[1] for row in types if row[1:2] != expected.get(row[0], [None])[:1]})
            findings.append(f"columns have other types: {', '.join(found)}" if found else "NOT NULL or collations differ")
        if finished:
            wanted = sorted([["f", ",".join(columns)] for _, columns in table.indexes] + [["t", ",".join(table.key)]])
            if server.sql(database, table.keys_and_indexes()) != wanted:
                findings.append("keys or indexes differ")
            findings += _not_vacuumed(server, database, table)
        finding = "; ".join(findings) or "same"
        self.seen[name] = {"rows": int(rows), "digest": digest, "finding": finding}
        if own and findings:
            self.differences.append(f"{name}: {finding}")
        return finding


def _not_vacuumed(server, database, table):
    """The visibility map must be there and the statistics too, or the work was not the same."""
    listed = server.sql(
        database,
        "select coalesce(sum(relpages), 0), coalesce(sum(relallvisible), 0), coalesce(sum(reltuples), 0) from pg_class"
        # The tree of a plain table is empty.
        f" where relkind = 'r' and (oid = '{table.name}'::regclass or oid in (select relid from pg_partition_tree('{table.name}')))",
    )
    pages, visible, tuples = (float(field) for field in listed[0])
    findings = []
    # Without VACUUM there are none; a plain one of PostgreSQL 18 leaves some of a fresh COPY unmarked, as
    # its VERBOSE says: two to four of a hundred pages here.
    if visible < 0.9 * pages:
        findings.append(f"only {visible:.0f} of {pages:.0f} pages are all-visible")
    if tuples <= 0:
        findings.append("not analyzed")
    return findings
