"""One run of overnight on very many rows: the pharmacy networks from the bucket to the flipped alias."""

import json
import os
import shutil
import subprocess
import threading
import time

import inputs
import report
from program import overnight
from server import SETTINGS
from tables import TABLES

# Measured on millions of rows: the zstd parts, the heap, both indexes, and what sorting for them holds meanwhile.
BYTES_A_ROW = 24 + 133 + 58 + 70
# WAL, where there is any, until the checkpoint that max_wal_size asks for.
WAL_BYTES_A_ROW, MOST_WAL = 220, 17 << 30


def run(given, server, bucket, objects, say):
    """Generates into the bucket, runs, prints the stages; returns the exit status."""
    table, rows = TABLES["W"], given.large
    wal = min(rows * WAL_BYTES_A_ROW, MOST_WAL) if given.server == "replica" else 0
    needed, free = rows * BYTES_A_ROW + wal, shutil.disk_usage(given.out).free
    say(f"about {needed / 2**30:.1f} GiB of disk are needed, {free / 2**30:.1f} are free")
    if needed > free:
        say("not enough; nothing was done")
        return 3
    prefix = f"W-{rows}{'-shuffled' if given.shuffle else ''}"
    _fill(given, bucket, rows, prefix, say)
    disk = Disk(given.out)
    disk.start()
    began = time.monotonic()
    database, result, document = overnight(server, table.datasets[given.order_by], bucket.url(prefix), bucket, given.programs)
    say(f"the run took {time.monotonic() - began:.1f} s")
    disk.stop()
    sizes = server.sql(
        database,
        "select pg_table_size(c.oid), pg_indexes_size(c.oid), (select string_agg(i.indexrelid::regclass || ' ' || pg_size_pretty(pg_relation_size(i.indexrelid)), ', ')"
        f" from pg_index i where i.indrelid = c.oid) from pg_class c where relname = '{table.name}'",
    )[0]
    facts = {
        "rows": result["rows"],
        "shuffled": given.shuffle,
        "order_by": given.order_by,
        "reader": _reader(server, database),
        "server": given.server,
        "settings": SETTINGS[given.server],
        "machine": report.machine(),
        "load_us_per_row": round(result["load"] * 1e6 / result["rows"], 3),
        "client_cpu_us_per_row": round(result["client_cpu"] * 1e6 / result["rows"], 3),
        "zstd_bytes": document["bytes"],
        "heap_bytes": int(sizes[0]),
        "index_bytes": int(sizes[1]),
        "most_disk_bytes": disk.most,
        "result": result,
        "report": document,
    }
    text = _markdown(facts, document, result, sizes[2])
    print(text)
    name = prefix.lower() + ("-ordered" if given.order_by else "")
    report.write(os.path.join(given.out, f"{name}.md"), text)
    for path in filter(None, (os.path.join(given.out, f"{name}.json"), given.json)):
        report.write_json(path, facts)
    return 0


def _fill(given, bucket, rows, prefix, say):
    """Straight into the bucket, compressed on the way; with --keep from a folder that stays."""
    options = inputs.pharmacy_options(rows, inputs.PARTS) + (["--shuffle"] if given.shuffle else [])
    generate = os.path.join(given.programs, "examples", "generate")
    environment = {**os.environ, **bucket.environment()}
    began = time.monotonic()
    if given.keep:
        folder = os.path.join(given.out, "inputs", f"large-{prefix}")
        if not os.path.exists(os.path.join(folder, "druginfo", "_SUCCESS")):
            say(f"generating {rows:,} rows into `{folder}`")
            subprocess.run([generate, "--out", folder, *options], check=True)
        bucket.put(folder, prefix)
    else:
        say(f"generating {rows:,} rows into the bucket")
        subprocess.run([generate, "--out", bucket.url(prefix), *options], env=environment, check=True)
    say(f"the inputs were there after {time.monotonic() - began:.0f} s")


def _reader(server, database):
    """What a service that wants the pharmacies of one plan has to read: pages of heap and index, and milliseconds when all are in memory."""
    plan = "contract_id, plan_id, segment_id"
    middle = server.sql(database, f"select format('(%L, %L, %L)', {plan}) from pharmacy_network order by {plan} offset 1000 limit 1")[0][0]
    query = f"select count(*), avg(floor_price) from pharmacy_network where ({plan}) = {middle}"
    for _ in range(3):
        lines = server.sql(database, f"explain (analyze, buffers, format json) {query}")
        explained = json.loads("\n".join(line for line, in lines))[0]
    scan = explained["Plan"]
    return {
        "rows": int(server.sql(database, query)[0][0]),
        "pages": scan["Shared Hit Blocks"] + scan["Shared Read Blocks"],
        "ms": explained["Execution Time"],
    }


class Disk(threading.Thread):
    """Looks every second how much of the disk is taken."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.most, self.ended = path, 0, threading.Event()
        self.before = shutil.disk_usage(path).used

    def run(self):
        while not self.ended.wait(1):
            self.most = max(self.most, shutil.disk_usage(self.path).used - self.before)

    def stop(self):
        self.ended.set()
        self.join()


def _markdown(facts, document, result, indexes):
    rows = facts["rows"]
    order = ("shuffled" if facts["shuffled"] else "in key order") + (", sorted while loaded" if facts["order_by"] else "")
    reader = facts["reader"]
    lines = [f"{rows:,} rows of the pharmacy networks, {order}, {facts['zstd_bytes'] / 2**30:.2f} GiB of zstd, on `{facts['server']}`", ""]
    lines += ["| stage | seconds | rows/s |", "| --- | ---: | ---: |"]
    for stage in document["stages"]:
        lines.append(f"| {stage['stage']} | {stage['seconds']:.1f} | {f'''{rows / stage['seconds']:,.0f}''' if stage.get('rows') else ''} |")
    lines.append(f"| whole run | {result['wall']:.1f} | {rows / result['wall']:,.0f} |")
    lines += [
        "",
        f"Load {facts['load_us_per_row']} us a row; client CPU {result['client_cpu']:.0f} s, {facts['client_cpu_us_per_row']} us a row;"
        f" server CPU {result['server_cpu']:.0f} s; peak memory of overnight {result['peak_rss_mb']:.0f} MiB; WAL {result['wal_mb']:,.0f} MiB.",
        f"Heap {facts['heap_bytes'] / 2**30:.2f} GiB, indexes {facts['index_bytes'] / 2**30:.2f} GiB ({indexes});"
        f" a reader of the {reader['rows']:,} pharmacies of one plan touches {reader['pages']:,} pages, {reader['ms']:.1f} ms;"
        f" most disk taken during the run {facts['most_disk_bytes'] / 2**30:.2f} GiB beside the inputs.",
    ]
    return "\n".join(lines) + "\n"
