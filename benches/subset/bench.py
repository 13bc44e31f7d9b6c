"""Measures `overnight subset`, and another tool on the same database.

One build of a shop: customers, products, orders and their lines, about 2 GB with its indexes. One per
cent of the customers, with all their orders and lines and the products in them, is taken into a
database on a second server, into an artifact, and out of it again. The peer is told the same.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PEER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "overnight-bench" / "condenser"
PEER_PACKAGE = "db-condenser==1.7.1"

SCHEMA = """-- A shop.
select overnight.declare_version(1);
create table scale (factor integer primary key);
create table customer (id integer primary key, name text not null, email text not null unique, city text);
create table product (id integer primary key, sku text not null unique, name text not null, price numeric(8,2) not null);
create table orders (id integer primary key, customer_id integer not null references customer, placed date not null, status text not null);
create index orders_customer on orders (customer_id);
create table line (order_id integer not null references orders, number smallint not null, product_id integer not null references product,
    quantity integer not null, price numeric(8,2) not null, note text, primary key (order_id, number));
create index line_product on line (product_id);
"""

ROWS = """-- Fills the shop; no order is like its neighbour.
insert into customer select i, 'Customer ' || i, 'customer' || i || '@example.com', 'City ' || i % 5000
  from generate_series(1, (select factor * 5000 from scale)) i;
insert into product select i, 'SKU-' || i, 'Product ' || md5(i::text), i % 10000 / 100.0
  from generate_series(1, (select factor * 2000 from scale)) i;
insert into orders select i, 1 + (i::bigint * 7919) % (select factor * 5000 from scale), date '2020-01-01' + i % 2000, 'status ' || i % 5
  from generate_series(1, (select factor * 30000 from scale)) i;
insert into line select o, n, 1 + (o::bigint * 31 + n * 104729) % (select factor * 2000 from scale), n, o % 10000 / 100.0,
       'note ' || md5((o * 5 + n)::text)
  from generate_series(1, (select factor * 30000 from scale)) o, generate_series(1, 5) n;
"""

RULES = """schema_version = 1
files_under = "shop/"

[subset]
references = [
    { from = "orders(customer_id)", to = "customer(id)", children = "all" },
    { from = "line(order_id)", to = "orders(id)", children = "all" },
]

[subset.tables]
customer = { percent = 1 }
"""

TABLES = ["customer", "product", "orders", "line"]

ORPHANS = """select (select count(*) from orders c where not exists (select from customer p where p.id = c.customer_id))
     + (select count(*) from line c where not exists (select from orders p where p.id = c.order_id))
     + (select count(*) from line c where not exists (select from product p where p.id = c.product_id))"""


class Ran:
    """How a program ended: seconds and the most memory it held."""

    def __init__(self, arguments, environment, cwd):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            began = time.monotonic()
            child = subprocess.Popen(arguments, env=environment, cwd=cwd, stdout=out, stderr=err)
            _, status, used = os.wait4(child.pid, 0)
            self.seconds = time.monotonic() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            self.stdout = out.read().decode()
            self.stderr = err.read().decode()
        self.code = child.returncode
        # Kilobytes on Linux, bytes on macOS.
        self.memory_mb = used.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
        if self.code != 0:
            sys.exit(f"{arguments}: {self.code}\n{self.stdout}{self.stderr}")


def psql(url, sql):
    ran = subprocess.run(["psql", "-qXAt", "-c", sql, url], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    return ran.stdout.strip()


class Bench:
    def __init__(self, programs, work, factor, times):
        self.overnight = str(Path(programs).resolve() / "overnight")
        self.work = work
        self.times = times
        self.project = work / "project"
        for path, text in [
            ("sources/shop/dataset.toml", RULES),
            ("sources/shop/scale.toml", 'table = "scale"\nfiles = "scale.csv"\n'),
            ("sql/shop/schema/010_shop.sql", SCHEMA),
            ("sql/shop/derive/110_rows.sql", ROWS),
            ("in/shop/scale.csv", f"factor\n{factor}\n"),
        ]:
            file = self.project / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.target = None

    def environment(self, home, target=None):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        kept["OVERNIGHT_HOME"] = str(self.work / home)
        kept["OVERNIGHT_FROM"] = str(self.project / "in")
        if target:
            kept["OVERNIGHT_TARGET"] = target
        return kept

    def run(self, home, *arguments, target=None):
        return Ran([self.overnight, *arguments], self.environment(home, target), self.project)

    def stop(self):
        for home in ("builds", "laptop"):
            subprocess.run(
                [self.overnight, "-q", "server", "stop"], env=self.environment(home), cwd=self.project, check=False, stdout=subprocess.DEVNULL
            )

    def several(self, name, *arguments, target=None):
        ran = [self.run("laptop", *arguments, target=target) for _ in range(self.times)]
        seconds = [one.seconds for one in ran]
        memory = max(one.memory_mb for one in ran)
        print(f"{name}: {statistics.median(seconds):.1f} s (of {', '.join(f'{s:.1f}' for s in seconds)}), peak {memory:.0f} MB", flush=True)
        return {"seconds": statistics.median(seconds), "all_seconds": seconds, "peak_rss_mb": memory}

    def counts(self, url):
        sql = " union all ".join(f"select '{table}', count(*) from {table}" for table in TABLES)
        found = dict(line.split("|") for line in psql(url, sql).splitlines())
        return {table: int(found[table]) for table in TABLES}


def connection(url, database):
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "user_name": parts.username,
        "host": query["host"][0],
        "db_name": database,
        "port": int(query["port"][0]),
        "password": "none",
        "ssl_mode": "disable",
    }


# The peer writes its host into a URL for psql as it is, which the folder of a socket does not survive.
LAUNCH = """
import db_condenser.psql_database_creator as creator
creator._connection_argument = lambda to: f"--dbname=host={to.host} port={to.port} user={to.user} dbname={to.db_name}"
from db_condenser.direct_subset import main
main()
"""


def peer(bench, source, laptop):
    """The same subset by db-condenser, whose schema comes from pg_dump."""
    if not PEER.exists():
        print("the peer is not installed: scripts/bench-subset --install-peer")
        return None
    url = laptop.replace("/shop?", "/peer?")
    psql(laptop.replace("/shop?", "/postgres?"), "create database peer template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
    config = bench.work / "condenser.json"
    config.write_text(json.dumps({
        "db_type": "postgres",
        "source_db_connection_info": connection(source, "shop"),
        "destination_db_connection_info": connection(laptop, "peer"),
        # Its own share is random on each run; by the same hash the same customers come.
        "initial_targets": [{
            "table": "public.customer",
            "where": "md5('overnight/customer/' || id::text) collate \"C\" < '028f5c28f5c28f5c'",
        }],
        "excluded_tables": [
            "overnight.build", "overnight.declared", "overnight.input", "overnight.loaded", "overnight.reject", "overnight.sql_file", "public.scale",
        ],
        "keep_disconnected_tables": False,
        "passthrough_tables": [],
        "dependency_breaks": [],
        "fk_augmentation": [],
        "upstream_filters": [],
        "use_temp_tables": False,
    }))
    ran = []
    for _ in range(bench.times):
        ran.append(Ran([str(PEER / "bin" / "python"), "-c", LAUNCH, "-y", "--config", str(config)], bench.environment("laptop"), bench.work))
    seconds = [one.seconds for one in ran]
    memory = max(one.memory_mb for one in ran)
    result = {
        "tool": PEER_PACKAGE,
        "seconds": statistics.median(seconds),
        "all_seconds": seconds,
        "peak_rss_mb": memory,
        "rows": bench.counts(url),
        "orphans": int(psql(url, ORPHANS)),
    }
    print(f"{PEER_PACKAGE}: {result['seconds']:.1f} s, peak {memory:.0f} MB, {result['rows']}, {result['orphans']} orphans", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-subset", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", help="folder of the program under test")
    parser.add_argument("--install-peer", action="store_true", help=f"install {PEER_PACKAGE} into {PEER}")
    parser.add_argument("--factor", type=int, default=100, help="size of the shop; 100 is about 2 GB")
    parser.add_argument("--times", type=int, default=3, help="how often each step is measured")
    parser.add_argument("--json", help="write the figures here")
    asked = parser.parse_args()
    if asked.install_peer:
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        subprocess.run([str(PEER / "bin" / "pip"), "install", "-q", PEER_PACKAGE, "psycopg[binary]"], check=True)
        return
    if not asked.programs:
        parser.error("--programs is needed")
    work = Path(tempfile.mkdtemp(prefix="overnight-subset-", dir="/tmp"))
    # The user of the servers must be able to enter it.
    work.chmod(0o755)
    bench = Bench(asked.programs, work, asked.factor, asked.times)
    try:
        figures = measure(bench)
    finally:
        bench.stop()
        shutil.rmtree(work, ignore_errors=True)
    if asked.json:
        Path(asked.json).write_text(json.dumps(figures, indent=2) + "\n")


def measure(bench):
    ran = bench.run("builds", "run", "shop")
    source = bench.run("builds", "url", "shop").stdout.strip()
    size = int(psql(source, "select pg_database_size('shop')"))
    print(f"the build has {size / 2**30:.2f} GiB and took {ran.seconds:.0f} s", flush=True)
    figures = {"build_bytes": size}
    figures["plan"] = bench.several("subset --plan", "subset", "shop", "--plan", target=source)
    figures["database"] = bench.several("subset into a database", "subset", "shop", target=source)
    laptop = bench.run("laptop", "url", "shop").stdout.strip()
    figures["rows"] = bench.counts(laptop)
    figures["orphans"] = int(psql(laptop, ORPHANS))
    figures["subset_bytes"] = int(psql(laptop, "select pg_database_size('shop')"))
    print(f"{figures['rows']}, {figures['orphans']} orphans, {figures['subset_bytes'] / 2**20:.0f} MiB", flush=True)
    figures["artifact"] = bench.several("subset into an artifact", "subset", "shop", "--to", "shop.tar.zst", target=source)
    figures["artifact"]["bytes"] = (bench.project / "shop.tar.zst").stat().st_size
    figures["restore"] = bench.several("artifact restored", "subset", "pull", "shop", "--from-artifact", "shop.tar.zst")
    clones = []
    for _ in range(10):
        made = json.loads(bench.run("laptop", "subset", "clone", "shop", "--json").stdout)
        clones.append(made["seconds"])
        bench.run("laptop", "subset", "clone", "shop", "--drop", made["name"])
    figures["clone"] = {"seconds": statistics.median(clones), "all_seconds": clones}
    print(f"clone: {statistics.median(clones) * 1000:.0f} ms", flush=True)
    figures["peer"] = peer(bench, source, laptop)
    return figures


if __name__ == "__main__":
    main()
