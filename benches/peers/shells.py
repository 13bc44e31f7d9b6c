"""What people do with psql, and the floor: COPY of ready-made binary files by the server itself.

Each takes a table from an empty database to the same final state: heap, key, indexes, ANALYZE and
VACUUM. The key is built as a unique index beside the others and adopted afterwards, which is the
fastest way from a shell.
"""

import os
import tempfile

from measure import Watch

COPY = "format csv, delimiter '|', header true"
NO_HEADER = COPY.replace("true", "false")


def _start(server, table, create=True):
    database = f"shell_{table.name}"
    server.fresh(database)
    watch = Watch(server, server.environment())
    if create:
        watch.run("load", [server.psql(database, "-c", table.create())])
    return database, watch


def _side_by_side(server, database, table, watch):
    """Indexes in two sessions, each with the workers that the server allows; then the key, ANALYZE, VACUUM."""
    workers = ["-c", "set max_parallel_maintenance_workers = 2"]
    unique = server.psql(database, *workers, "-c", table.build_unique())
    others = server.psql(database, *workers, *[word for index in table.build_others() for word in ("-c", index)])
    watch.run("index", [unique, others])
    watch.run("index", [server.psql(database, "-c", table.adopt_key())])
    watch.run("rest", [server.psql(database, "-c", f"vacuum (analyze) {table.name}")])


def _copy_line(table, path, options):
    return f"\\copy {table.name} from '{path}' with ({options})"


def psql(server, table, source):
    """One psql, one file, then the key and the indexes one after the other."""
    database, watch = _start(server, table)
    watch.run("load", [server.psql(database, "-c", _copy_line(table, source.plain, COPY))])
    steps = [word for step in (table.add_key(), *table.build_others()) for word in ("-c", step)]
    watch.run("index", [server.psql(database, *steps)])
    watch.run("rest", [server.psql(database, "-c", f"vacuum (analyze) {table.name}")])
    return database, watch.result()


def two_psql(server, table, source):
    """The file is split into two, and two psql load the halves; splitting counts."""
    database, watch = _start(server, table)
    with tempfile.TemporaryDirectory(prefix="split-", dir=source.folder) as folder:
        # By bytes, at line ends; the header is in the first half.
        watch.run("load", [["split", "-n", "l/2", source.plain, os.path.join(folder, "half-")]])
        halves = (("half-aa", COPY), ("half-ab", NO_HEADER))
        watch.run("load", [server.psql(database, "-c", _copy_line(table, os.path.join(folder, half), how)) for half, how in halves])
    _side_by_side(server, database, table, watch)
    return database, watch.result()


def two_psql_piped(server, table, source):
    """Two psql, each fed by a split that picks its half of the file out: nothing is written twice."""
    database, watch = _start(server, table)
    readers = []
    for half, how in ((1, COPY), (2, NO_HEADER)):
        copy = f"copy {table.name} from stdin with ({how})"
        script = f'file=$1; shift; split -n l/{half}/2 "$file" | "$@"'
        readers.append(["bash", "-euo", "pipefail", "-c", script, "bash", source.plain, *server.psql(database, "-c", copy)])
    watch.run("load", readers)
    _side_by_side(server, database, table, watch)
    return database, watch.result()


def one_transaction(server, table, source):
    """CREATE TABLE and COPY FREEZE in one transaction: without WAL where wal_level is minimal."""
    database, watch = _start(server, table, create=False)
    copy = _copy_line(table, source.plain, COPY + ", freeze true")
    watch.run("load", [server.psql(database, "-1", "-c", table.create(), "-c", copy)])
    _side_by_side(server, database, table, watch)
    return database, watch.result()


def floor(server, table, files, freeze):
    """COPY BINARY by the server from files of its own, one connection for each file."""
    copy = f"copy {table.name} from '%s' with (format binary{', freeze true' if freeze else ''})"
    if freeze and len(files) == 1:
        database, watch = _start(server, table, create=False)
        watch.run("load", [server.psql(database, "-1", "-c", table.create(), "-c", copy % files[0])])
    else:
        database, watch = _start(server, table)
        watch.run("load", [server.psql(database, "-c", copy % file) for file in files])
    _side_by_side(server, database, table, watch)
    return database, watch.result()


def write_floor(server, database, table, folder, files):
    """The rows of a loaded table as binary files, one for each connection, each a range of its blocks."""
    blocks = int(server.sql(database, f"select pg_relation_size('{table.name}') / current_setting('block_size')::int")[0][0])
    paths = []
    for number in range(files):
        first, end = blocks * number // files, blocks * (number + 1) // files
        path = os.path.join(folder, f"{table.name}-{files}-{number}.bin")
        rows = f"select * from {table.name} where ctid >= '({first},0)' and ctid < '({end},0)'"
        server.sql(database, f"copy ({rows}) to '{path}' with (format binary)")
        paths.append(path)
    return paths
