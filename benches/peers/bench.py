#!/usr/bin/env python3
"""Measures overnight against the floor and against what else loads files into Postgres.

In: the built programs and PostgreSQL; run it through scripts/bench. Out: a Markdown table, and with
--json every single measurement. Contenders take turns within a round, so that a machine that
becomes slower does it to all of them; only figures of one run can be compared.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile

import large
import link
import night
import peers
import report
import share
import shells
from bucket import Bucket
from contents import Contents
from inputs import Inputs
from measure import Failed
from program import overnight
from server import SETTINGS, Server, place, private, programs
from tables import TABLES

OURS = {"L": {"overnight": "lineitem", "overnight, hash partitions": "lineitem_hash"}, "W": {"overnight": "network"}}
SHELLS = {"psql": shells.psql, "two psql": shells.two_psql, "two psql, piped": shells.two_psql_piped}

# Enough for several chunks in each of the parts.
SHORT_ROWS = 100_000


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows, no peers but psql")
    parser.add_argument("--short", action="store_true", help="compare contents on few rows, one round; times mean nothing")
    parser.add_argument("--rounds", type=int, help="how often every fast contender runs; default 3")
    parser.add_argument("--only", choices=("L", "W"), help="one of the two inputs")
    parser.add_argument("--peers", default=None, metavar="LIST|all|psql", help=f"of {', '.join(peers.PEERS)}; default all, with --quick psql")
    parser.add_argument("--rows-l", type=int, metavar="N", help="rows of lineitem; default 6001215")
    parser.add_argument("--rows-w", type=int, metavar="N", help="rows of the pharmacy networks; default 10000000")
    parser.add_argument("--connections", type=int, default=2, metavar="N", help="of the floor, where the report of overnight does not tell; default 2")
    parser.add_argument("--json", metavar="FILE", help="write every measurement there")
    parser.add_argument("--out", default="target/bench", metavar="DIR", help="inputs, servers and results; default target/bench")
    parser.add_argument("--programs", metavar="DIR", help="folder of overnight and examples/; default target/release, built first")
    parser.add_argument("--install-peers", action="store_true", help="install the peers and stop")
    parser.add_argument("--large", type=int, metavar="ROWS", help="only overnight, on so many rows of the pharmacy networks")
    parser.add_argument("--shuffle", action="store_true", help="with --large: rows in another order than that of the key")
    parser.add_argument("--order-by", action="store_true", help="with --large: sort the rows by the key while they are loaded")
    parser.add_argument("--link", type=_rates, metavar="MBIT[,MBIT]", help="only overnight, over links of so many Mbit/s, with binary and with text COPY")
    parser.add_argument("--share", action="store_true", help="only overnight, on few rows: fails if a night beside its load takes too much processor time")
    parser.add_argument("--night", action="store_true", help="only overnight: the second night of the example dataset druginfo, stage by stage")
    parser.add_argument("--night-options", type=_options, default=[], metavar="NAME=N[,NAME=N]", help="with --night: of examples/generate; default plans=600,drugs=2500,pharmacy-rows=3000000")
    parser.add_argument("--server", choices=tuple(SETTINGS), default="minimal", help="with --large, --link, --share and --night; default minimal")
    parser.add_argument("--keep", action="store_true", help="with --large: keep the generated files for the next time")
    given = parser.parse_args()
    given.out = os.path.abspath(given.out)
    given.programs = os.path.abspath(given.programs or "target/release")
    if given.rounds is None:
        given.rounds = 1 if given.short else 3
    given.rows = {}
    if given.rounds < 1:
        parser.error("--rounds: at least 1")
    for letter, asked in (("L", given.rows_l), ("W", given.rows_w)):
        full = TABLES[letter].full_rows
        given.rows[letter] = asked or (SHORT_ROWS if given.short else full // 4 if given.quick else full)
    given.letters = [given.only] if given.only else ["L", "W"]
    chosen = given.peers or ("psql" if given.quick or given.short else "all")
    given.peers = list(peers.PEERS) if chosen == "all" else [name for name in chosen.split(",") if name != "psql"]
    unknown = set(given.peers) - set(peers.PEERS)
    if unknown:
        parser.error(f"--peers: unknown: {', '.join(sorted(unknown))}")
    return given


def _rates(text):
    rates = [int(rate) for rate in text.split(",")]
    if min(rates) < 1:
        raise ValueError(text)
    return rates


def _options(text):
    return [(name, int(value)) for name, _, value in (option.partition("=") for option in text.split(","))]


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """The servers, the bucket and the inputs of one run, and what was measured."""

    def __init__(self, given, folder, sockets, bucket):
        self.given, self.folder, self.bucket = given, folder, bucket
        self.servers = {name: Server(name, folder, sockets, durable=not given.short) for name in SETTINGS}
        self.results, self.contents = report.Results(), Contents()
        self.inputs, self.floors = {}, {}

    def prepare(self, letter):
        """Generates an input, loads the reference, tries overnight once, and writes the files of the floor."""
        table, rows = TABLES[letter], self.given.rows[letter]
        say(f"{letter}: generating about {rows:,} rows, unless they are there")
        source = Inputs(os.path.join(self.given.out, "inputs"), self.given.programs).of(letter, rows)
        self.bucket.put(source.published, letter)
        self.inputs[letter] = source
        server = self.servers["replica"]
        say(f"{letter}: loading the reference")
        database, _ = shells.psql(server, table, source)
        self.contents.reference(server, database, source)
        dataset, tried, _ = self._overnight(server, letter, table.datasets[0])
        files = tried["connections"] or self.given.connections
        freeze = tried["freeze"] if tried["freeze"] is not None else files == 1
        say(f"{letter}: writing the files of the floor, for {files} connections{' with FREEZE' if freeze else ''}")
        self.floors[letter] = shells.write_floor(server, database, table, self.folder, files), freeze
        server.drop(database)
        server.drop_builds(dataset)

    def _overnight(self, server, letter, dataset):
        return overnight(server, dataset, self.bucket.url(letter), self.bucket, self.given.programs)

    def contenders(self, server, letter):
        """What takes turns on a server: names, and functions that return a database and its costs."""
        table, source = TABLES[letter], self.inputs[letter]
        found = []
        if server.name == "replica":
            files, freeze = self.floors[letter]
            found.append(("floor", lambda: shells.floor(server, table, files, freeze)))
        for name, dataset in OURS[letter].items():
            found.append((name, lambda dataset=dataset: self._overnight(server, letter, dataset)[:2]))
        if server.name == "replica":
            found += [(name, lambda run=run: run(server, table, source)) for name, run in SHELLS.items()]
            found += [(name, lambda name=name: self.peers[name].load(server, table, source)) for name in self.fast]
        else:
            found.append(("psql, one transaction", lambda: shells.one_transaction(server, table, source)))
        return found

    def round(self, number):
        for letter in self.given.letters:
            for name in ("replica", "minimal") if letter == "L" else ("replica",):
                turns = self.contenders(self.servers[name], letter)
                first = number % len(turns)
                for contender, run in turns[first:] + turns[:first]:
                    self.turn(number, contender, self.servers[name], letter, run)

    def turn(self, number, contender, server, letter, run):
        own = contender not in peers.PEERS
        try:
            database, result = run()
        except Failed as failed:
            if own:
                raise SystemExit(f"bench: {contender} on {server.name}, {letter}: {failed}") from None
            self.peers[contender].failed(letter, failed)
            return
        source = self.inputs[letter]
        finding = self.contents.check(contender, server, database, source, own, finished=own)
        self.results.add(number, contender, server.name, letter, result, finding)
        say(f"round {number + 1}, {letter} on {server.name}: {contender}: {result['wall']:.2f} s (load {result['load']:.2f}, indexes {result['index']:.2f}), contents: {finding}")
        server.drop_builds(database) if contender.startswith("overnight") else server.drop(database)

    def run(self):
        for server in self.servers.values():
            server.start()
        self.peers = peers.find(self.given.peers, self.given.out)
        self.fast = [name for name, peer in self.peers.items() if peer.usable and not peer.slow]
        for letter in self.given.letters:
            self.prepare(letter)
        for number in range(self.given.rounds):
            self.round(number)
        for letter in self.given.letters:
            for name, peer in self.peers.items():
                if peer.usable and peer.slow:
                    self.slow(name, peer, letter)

    def slow(self, name, peer, letter):
        """Once, on a quarter of the rows."""
        server, source = self.servers["replica"], self.inputs[letter]
        try:
            database, result, finding = peer.load_slice(server, TABLES[letter], source)
        except Failed as failed:
            peer.failed(letter, failed)
            return
        self.results.add(0, name, "replica", letter, result, finding)
        say(f"once, {letter} on replica: {name}: {result['rows']:,} rows in {result['load']:.2f} s, contents: {finding}")
        server.drop(database)

    def facts(self):
        server = self.servers["replica"]
        return {
            "machine": report.machine(),
            "versions": {
                "postgres": server.sql("postgres", "select split_part(version(), ' on ', 1)")[0][0],
                "overnight": report.said_by([os.path.join(self.given.programs, "overnight"), "--version"]),
                "commit": report.said_by(["git", "describe", "--always", "--dirty"]),
                "rust": report.said_by(["rustc", "--version"]),
                "python": sys.version.split()[0],
            },
            "settings": {name: server.settings for name, server in self.servers.items()},
            "rounds": self.given.rounds,
            "floor": {letter: {"connections": len(files), "freeze": freeze} for letter, (files, freeze) in self.floors.items()},
            "contents": self.contents.seen,
            "contents_same": not self.contents.differences,
            "peers": {name: peer.outcome() for name, peer in self.peers.items()},
        }


def main():
    given = arguments()
    if given.install_peers:
        return peers.install(given.out, say)
    if not os.path.exists("/proc/self/stat"):
        raise SystemExit("bench: processor times are read from /proc: this needs Linux")
    # So that servers and folders are removed then too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.makedirs(given.out, exist_ok=True)
    folder = place(os.path.join(given.out, "servers"))
    # The path of a socket may have 100 bytes or so.
    sockets = private("/tmp")
    objects = tempfile.mkdtemp(prefix="bucket-", dir=given.out)
    bucket = Bucket(given.programs, objects)
    servers = []
    try:
        if given.large or given.link or given.share or given.night:
            server = Server(given.server, folder, sockets)
            servers.append(server)
            server.start()
            if given.night:
                return night.run(given, server, bucket, say)
            if given.share:
                return 0 if share.run(given, server, bucket, say) else 1
            if given.link:
                return link.run(given, server, bucket, say)
            return large.run(given, server, bucket, objects, say)
        bench = Bench(given, folder, sockets, bucket)
        servers += bench.servers.values()
        bench.run()
        facts = bench.facts()
        table = report.markdown(bench.results, bench.inputs, facts)
        print(table)
        report.write(os.path.join(given.out, "results.md"), table)
        everything = report.document(bench.results, bench.inputs, facts)
        for path in filter(None, (os.path.join(given.out, "results.json"), given.json)):
            report.write_json(path, everything)
        for difference in bench.contents.differences:
            say(f"contents differ: {difference}")
        return 1 if bench.contents.differences else 0
    finally:
        for server in servers:
            server.stop()
        bucket.stop()
        for path in (folder, sockets, objects):
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
