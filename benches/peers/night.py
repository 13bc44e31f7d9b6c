"""A whole night of the example dataset druginfo, from the bucket to the flipped alias, stage by stage.

The first night has nothing to be compared with, so it is the second that is told: of other raw files, with
the first one live.
"""

import json
import os
import subprocess
import tempfile
import time

import report
from program import environment_of
from server import LOADER

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATASET = "druginfo"
# Rows of the real files: 307 million pharmacies and 54 million prices of 7,000 plans.
OPTIONS = {"plans": 600, "drugs": 2500, "pharmacy-rows": 3_000_000}
# A part that took less is not told.
SHORTEST = 0.1


def run(given, server, bucket, say):
    """Generates two nights, runs both, prints the second; returns the exit status."""
    readers = sorted({f"{DATASET}_reader"})
    for reader in readers:
        server.sql("postgres", f"do $$ begin create role {reader} login; exception when duplicate_object then end $$")
        server.sql("postgres", f"grant {reader} to {LOADER}")
    options = {**OPTIONS, **dict(given.night_options)}
    told = None
    for night in (1, 2):
        folder = os.path.join(given.out, "inputs", "night-" + "-".join(str(value) for value in options.values()) + f"-{night}")
        _generate(given, folder, options, night, say)
        bucket.put(folder, f"night-{night}")
        environment = {**environment_of(server, bucket, bucket.url(f"night-{night}")), "OVERNIGHT_PROJECT": ROOT}
        began = time.monotonic()
        with tempfile.TemporaryFile() as said:
            command = [os.path.join(given.programs, "overnight"), "--json", "-q", "run", DATASET]
            done = subprocess.run(command, env=environment, stdout=said, check=False)
            said.seek(0)
            told = json.load(said)["datasets"][0]
        if done.returncode:
            raise SystemExit(f"bench: night {night} failed: {told.get('error')}")
        say(f"night {night}: {time.monotonic() - began:.1f} s, {told['rows']:,} rows of the files")
    text = _markdown(server, told, options)
    print(text)
    report.write(os.path.join(given.out, "night.md"), text)
    if given.json:
        report.write_json(given.json, told)
    return 0


def _generate(given, folder, options, night, say):
    stamp = os.path.join(folder, "made.json")
    if os.path.exists(stamp):
        return
    say(f"generating night {night}")
    chosen = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    generate = os.path.join(given.programs, "examples", "generate")
    subprocess.run([generate, "--out", folder, "--night", str(night), *chosen], check=True, stdout=subprocess.DEVNULL)
    report.write(stamp, json.dumps(options))


def _markdown(server, told, options):
    machine = report.machine()
    commit = report.said_by(["git", "describe", "--always", "--dirty"])
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; commit {commit}; "
        f"server `{server.name}`; generate {' '.join(f'--{name} {value}' for name, value in options.items())}; {told['rows']:,} rows of the files.",
        "",
        "| stage | seconds |",
        "| --- | ---: |",
    ]
    whole = sum(stage["seconds"] for stage in told["stages"])
    lines += [f"| {stage['stage']} | {stage['seconds']:.2f} |" for stage in told["stages"]]
    lines += [f"| whole | {whole:.2f} |", "", "| stage | part | seconds |", "| --- | --- | ---: |"]
    for part in told["parts"]:
        if part["seconds"] >= SHORTEST:
            lines.append(f"| {part['stage']} | {part['part']} | {part['seconds']:.2f} |")
    seconds = {stage["stage"]: stage["seconds"] for stage in told["stages"]}
    built = sum(seconds.get(stage, 0) for stage in ("load", "indexes and keys", "derive", "analyze"))
    share = (seconds["derive"] + seconds["verify"]) / whole
    lines += ["", f"Derive and verify: {share:.0%} of the night. Neither load nor index nor derive: {1 - built / whole:.1%}."]
    return "\n".join(lines) + "\n"
