"""overnight itself: one whole run, from the bucket to the flipped alias."""

import json
import os
import tempfile

from measure import Failed, Watch, together
from server import LOADER

PROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "project")


def overnight(server, dataset, location, bucket, programs, settings=None):
    """Runs a dataset on a server without builds of it. Returns the database, the costs, and the report of the run."""
    server.drop_builds(dataset)
    environment = {**environment_of(server, bucket, location), **(settings or {})}
    # It makes the ledger, which is there on every night but the first. Straight to the server: a link may hold its
    # session, and so its lock, a moment longer than it runs.
    straight = {**environment, "OVERNIGHT_TARGET": server.url(LOADER, "postgres")}
    together([[os.path.join(programs, "overnight"), "-q", "retire", dataset]], straight)
    watch = Watch(server, environment)
    with tempfile.TemporaryFile() as said:
        watch.run("load", [[os.path.join(programs, "overnight"), "--json", "-q", "run", dataset]], stdout=said)
        said.seek(0)
        report = json.load(said)["datasets"][0]
    if report.get("outcome") != "published":
        raise Failed(f"overnight did not publish: {report.get('error') or report.get('outcome')}")
    result = watch.result()
    seconds = {stage["stage"]: stage["seconds"] for stage in report["stages"]}
    result["load"] = seconds["load"]
    result["index"] = seconds["indexes and keys"]
    result["rest"] = result["wall"] - result["load"] - result["index"]
    result["stages"] = seconds
    result["rows"] = report["rows"]
    result["connections"] = connections(report)
    result["freeze"] = freeze(report)
    return dataset, result, report


def environment_of(server, bucket, location):
    """What overnight needs to run the project of the benchmark."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/"),
        **bucket.environment(),
        "OVERNIGHT_PROJECT": PROJECT,
        "OVERNIGHT_TARGET": server.url(LOADER, "postgres"),
        "OVERNIGHT_FROM": location,
        **{name: value for name, value in os.environ.items() if name in PASSED_ON},
    }


# Settings of the loader that may be varied from outside.
PASSED_ON = ("OVERNIGHT_CONNECTIONS", "OVERNIGHT_INDEX_SESSIONS", "OVERNIGHT_WORKERS", "OVERNIGHT_MEMORY", "OVERNIGHT_CHUNK", "OVERNIGHT_LOG")


def connections(report):
    """COPY connections into the biggest table, if the report tells."""
    for table in sorted(report.get("tables", []), key=lambda table: -table.get("rows", 0)):
        for name in ("connections", "streams", "copies", "sessions"):
            value = table.get(name, table.get("timing", {}).get(name))
            if isinstance(value, int) and value > 0:
                return value
            if isinstance(value, list) and value:
                return len(value)
    return None


def freeze(report):
    """Whether the biggest table was loaded with FREEZE, if the report tells."""
    for table in sorted(report.get("tables", []), key=lambda table: -table.get("rows", 0)):
        for name in ("freeze", "frozen"):
            if isinstance(table.get(name), bool):
                return table[name]
    return None
