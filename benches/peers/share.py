"""What a row costs a night beside its load: processor time of client and server, stage by stage.

Processor time does not depend on what else the machine does, so this may fail a build. A night of very few rows is
measured as well, and taken off: making a database alone costs the server about as much as loading these rows. Of what is
left, everything that is neither load nor index nor derive must not be more than a share of the load.
"""

import os
import subprocess
import threading
import time

from inputs import Inputs
from measure import TICKS, server_cpu, stat_of
from program import environment_of
from tables import TABLES

ROWS = 1_000_000
FEW_ROWS = 10_000
# Of the load's processor time, for everything that is neither load nor index nor derive.
MOST = 0.25
BUILDING = ("load", "indexes and keys", "derive", "analyze")
# CREATE DATABASE copies a template and waits for a checkpoint, whatever will be loaded.
ALIKE = ("create",)


class Samples(threading.Thread):
    """Processor time of a server and of a process, again and again."""

    def __init__(self, server, process):
        super().__init__(daemon=True)
        self.server, self.process, self.seen, self.ended = server, process, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            self.look()
            time.sleep(0.01)

    def look(self):
        fields = stat_of(self.process.pid)
        client = sum(int(field) for field in fields[11:13]) / TICKS if fields else self.seen[-1][2]
        self.seen.append((time.time(), server_cpu(self.server.pid), client))

    def at(self, moment):
        """Server and client at a moment: the last look before it."""
        before = [look for look in self.seen if look[0] <= moment]
        return (before or self.seen)[-1 if before else 0][1:]


def run(given, server, bucket, say):
    """Measures a night of few and one of many rows. Returns whether what a row costs beside its load is little enough."""
    few, many = (_night(given, server, bucket, rows) for rows in (FEW_ROWS, ROWS))
    for stage, (on_server, on_client) in many.items():
        before = few.get(stage, (0, 0))
        say(f"share: {stage:<17} server {on_server:5.2f} s, of it for the rows {on_server - before[0]:5.2f}; client {on_client:5.2f} s, {on_client - before[1]:5.2f}")
    fine = True
    # Separately: a client that was built without optimizing must not hide what the server does.
    for number, who in enumerate(("server", "client")):
        grown = {stage: cost[number] - few.get(stage, (0, 0))[number] for stage, cost in many.items()}
        beside = sum(cost for stage, cost in grown.items() if stage not in BUILDING + ALIKE)
        share = beside / grown["load"]
        fine = fine and share <= MOST
        verdict = "at most" if share <= MOST else "TOO MUCH, at most"
        say(f"share: {ROWS - FEW_ROWS:,} rows, {who}: {beside:.2f} s beside {grown['load']:.2f} s of the load: {share:.0%}, {verdict} {MOST:.0%}")
    return fine


def _night(given, server, bucket, rows):
    """The second night of a dataset of so many rows: seconds of server and client, by stage."""
    table = TABLES["L"]
    source = Inputs(os.path.join(given.out, "inputs"), given.programs).of("L", rows)
    bucket.put(source.published, f"share-{rows}")
    environment = environment_of(server, bucket, bucket.url(f"share-{rows}"))
    overnight = os.path.join(given.programs, "overnight")
    dataset = table.datasets[0]
    server.drop_builds(dataset)
    # The first night has nothing to be compared with.
    subprocess.run([overnight, "-q", "run", dataset], env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([overnight, "-q", "run", "--force", dataset], env=environment, stdout=subprocess.DEVNULL)
    samples = Samples(server, process)
    samples.start()
    # Not reaped before the last look: then its times are still there.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    samples.ended.set()
    samples.join()
    samples.look()
    if process.wait():
        raise SystemExit("bench: the run failed")
    stages = server.sql(
        "overnight",
        "select stage, extract(epoch from began_at) from ledger.run_stage where run = (select max(id) from ledger.run) order by position",
    )
    begins = [float(began) for _, began in stages] + [time.time()]
    costs = {}
    for (stage, _), begin, end in zip(stages, begins, begins[1:]):
        before, after = samples.at(begin), samples.at(end)
        costs[stage] = (after[0] - before[0], after[1] - before[1])
    return costs
