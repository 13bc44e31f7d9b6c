"""What a night costs beside its load: processor time of client and server, stage by stage.

Processor time does not depend on what else the machine does, so this may fail a build: everything that is neither load nor
index nor derive must not use more than a share of what the load uses.
"""

import json
import os
import subprocess
import tempfile
import threading
import time

from inputs import Inputs
from measure import TICKS, server_cpu, stat_of
from program import environment_of
from tables import TABLES

ROWS = 300_000
# Of the load's processor time, for everything that is neither load nor index nor derive.
MOST = 0.25
BUILDING = ("load", "indexes and keys", "derive", "analyze")


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
    """Measures the second night of a dataset. Returns whether its share is small enough."""
    table = TABLES["L"]
    source = Inputs(os.path.join(given.out, "inputs"), given.programs).of("L", ROWS)
    bucket.put(source.published, "share")
    environment = environment_of(server, bucket, bucket.url("share"))
    overnight = os.path.join(given.programs, "overnight")
    dataset = table.datasets[0]
    server.drop_builds(dataset)
    # The first night has nothing to be compared with.
    subprocess.run([overnight, "-q", "run", dataset], env=environment, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([overnight, "--json", "-q", "run", "--force", dataset], env=environment, stdout=said)
        samples = Samples(server, process)
        samples.start()
        # Not reaped before the last look: then its times are still there.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        samples.ended.set()
        samples.join()
        samples.look()
        if process.wait():
            raise SystemExit("bench: the run failed")
        said.seek(0)
        rows = json.load(said)["datasets"][0]["rows"]
    stages = server.sql(
        "overnight",
        "select stage, extract(epoch from began_at) from ledger.run_stage where run = (select max(id) from ledger.run) order by position",
    )
    begins = [float(began) for _, began in stages] + [time.time()]
    costs = []
    for (stage, _), begin, end in zip(stages, begins, begins[1:]):
        (server_before, client_before), (server_after, client_after) = samples.at(begin), samples.at(end)
        costs.append((stage, server_after - server_before, client_after - client_before))
        say(f"share: {stage:<17} server {costs[-1][1]:5.2f} s, client {costs[-1][2]:5.2f} s")
    load = next(cost for cost in costs if cost[0] == "load")
    # Separately: a client that was built without optimizing must not hide what the server does.
    fine = True
    for number, who in ((1, "server"), (2, "client")):
        beside = sum(cost[number] for cost in costs if cost[0] not in BUILDING)
        share = beside / load[number]
        fine = fine and share <= MOST
        verdict = "at most" if share <= MOST else "TOO MUCH, at most"
        say(f"share: {rows:,} rows, {who}: {beside:.2f} s beside {load[number]:.2f} s of the load: {share:.0%}, {verdict} {MOST:.0%}")
    return fine
