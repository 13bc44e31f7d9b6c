"""overnight behind a link that is slower than the server: binary COPY against text COPY.

A proxy on this machine lets through so many bits a second in each direction, over all connections
together, as a network does. It adds no delay: COPY waits for no answers, so a delay costs little.
"""

import os
import socket
import statistics
import threading
import time

import report
from inputs import Inputs
from program import overnight
from server import LOADER
from tables import TABLES

FORMATS = ("binary", "text")
# Read at once. Small enough that the pace is even, large enough for 10 Gbit/s.
PIECE = 64 << 10
# A sleep takes longer than asked for; what was missed may be caught up with, no more.
CATCH_UP = 0.01


class Pace:
    """Lets through so many bytes a second; who comes too early waits."""

    def __init__(self, bytes_a_second):
        self.rate, self.free_at, self.lock = bytes_a_second, 0.0, threading.Lock()

    def take(self, count):
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic() - CATCH_UP) + count / self.rate
            wait = self.free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)


class Link:
    """A way to a server's socket that is limited to so many Mbit/s; None: not limited."""

    def __init__(self, server, mbit):
        self.path = os.path.join(server.sockets, f".s.PGSQL.{server.port}")
        self.paces = [Pace(mbit * 1e6 / 8) if mbit else None for _ in range(2)]
        self.listener = socket.socket()
        # What waits here has left the sender, as in a switch: a switch holds little.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.url = f"postgresql://{LOADER}@127.0.0.1:{self.listener.getsockname()[1]}/postgres?sslmode=disable"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(self.path)
            for source, sink, pace in ((client, there, self.paces[0]), (there, client, self.paces[1])):
                threading.Thread(target=_forward, args=(source, sink, pace), daemon=True).start()

    def stop(self):
        # Closing alone would leave the thread waiting.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _forward(source, sink, pace):
    """Until one side ends; then the other is told."""
    piece = memoryview(bytearray(PIECE))
    try:
        while count := source.recv_into(piece):
            if pace:
                pace.take(count)
            sink.sendall(piece[:count])
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def run(given, server, bucket, say):
    """Loads the inputs over each link in both formats, in turns; returns the exit status."""
    found = []
    for letter in given.letters:
        rows = given.rows[letter]
        say(f"{letter}: generating about {rows:,} rows, unless they are there")
        source = Inputs(os.path.join(given.out, "inputs"), given.programs).of(letter, rows)
        bucket.put(source.published, letter)
        digests = set()
        for number in range(given.rounds):
            for mbit in [*given.link, None]:
                # The order changes, so that what the first leaves behind helps both.
                for name in FORMATS if number % 2 == 0 else FORMATS[::-1]:
                    measured = _measure(given, server, bucket, letter, mbit, name)
                    digests.add(measured.pop("digest"))
                    found.append(measured)
                    say(f"{letter}, {_named(mbit)}, {name}: load {measured['load']:.2f} s, {measured['sent'] / 1e6:.0f} MB sent")
        if len(digests - {None}) != 1:
            say(f"{letter}: contents differ between the formats")
            return 1
    text = _markdown(found, given)
    print(text)
    report.write(os.path.join(given.out, "link.md"), text)
    for path in filter(None, (os.path.join(given.out, "link.json"), given.json)):
        report.write_json(path, {"machine": report.machine(), "settings": server.settings, "measured": found})
    return 0


def _measure(given, server, bucket, letter, mbit, name):
    dataset = TABLES[letter].datasets[0]
    link = Link(server, mbit)
    settings = {"OVERNIGHT_TARGET": link.url, "OVERNIGHT_COPY_FORMAT": name, "OVERNIGHT_SERVER_CORES": str(os.cpu_count())}
    try:
        database, result, document = overnight(server, dataset, bucket.url(letter), bucket, given.programs, settings)
    finally:
        link.stop()
    # Once for each format and round: it takes as long as a load.
    digest = None if mbit else tuple(server.sql(database, TABLES[letter].digest())[0])
    server.drop_builds(dataset)
    return {
        "input": letter,
        "mbit": mbit,
        "format": name,
        "rows": result["rows"],
        "sent": sum(table["timing"]["bytes_sent"] for table in document["tables"]),
        "load": result["load"],
        "wall": result["wall"],
        "client_cpu": result["client_cpu"],
        "server_cpu": result["server_cpu"],
        "connections": result["connections"],
        "digest": digest,
    }


def _named(mbit):
    return f"{mbit} Mbit/s" if mbit else "no limit"


def _markdown(found, given):
    lines = ["| input | link | binary: bytes a row | load | text: bytes a row | load | client CPU, binary and text | text / binary |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for letter in given.letters:
        for mbit in [*given.link, None]:
            cells = {}
            for name in FORMATS:
                same = [one for one in found if (one["input"], one["mbit"], one["format"]) == (letter, mbit, name)]
                cells[name] = {key: statistics.median([one[key] for one in same]) for key in ("sent", "load", "client_cpu", "rows")}
            binary, text = cells["binary"], cells["text"]
            lines.append(
                f"| {letter} | {_named(mbit)} | {binary['sent'] / binary['rows']:.0f} | {binary['load']:.1f} | {text['sent'] / text['rows']:.0f} | {text['load']:.1f}"
                f" | {binary['client_cpu']:.1f}, {text['client_cpu']:.1f} | {text['load'] / binary['load']:.2f} |"
            )
    return "\n".join(lines) + "\n"
