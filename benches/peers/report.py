"""Medians, ratios, the Markdown table and the JSON document."""

import json
import os
import platform
import statistics
import subprocess

MEASURES = ("wall", "load", "index", "rest", "client_cpu", "server_cpu", "peak_rss_mb", "wal_mb")
SHELLS = ("two psql", "two psql, piped", "psql")


class Results:
    """Every single measurement, in the order in which they were taken."""

    def __init__(self):
        self.taken = []

    def add(self, round_, contender, server, letter, result, contents):
        entry = {"round": round_, "contender": contender, "server": server, "input": letter, "contents": contents, **result}
        self.taken.append(entry)

    def of(self, contender, server, letter):
        return [
            entry for entry in self.taken if (entry["contender"], entry["server"], entry["input"]) == (contender, server, letter)
        ]

    def median(self, contender, server, letter, measure):
        values = [entry[measure] for entry in self.of(contender, server, letter) if entry.get(measure) is not None]
        return statistics.median(values) if values else None

    def groups(self):
        """Servers with inputs, and their contenders, in order of appearance."""
        found = {}
        for entry in self.taken:
            found.setdefault((entry["server"], entry["input"]), {})[entry["contender"]] = None
        return {group: list(contenders) for group, contenders in found.items()}


def ratio(above, below):
    return round(above / below, 3) if above and below else None


def least(values):
    values = [value for value in values if value]
    return min(values) if values else None


def ratios(results):
    """Seconds are medians. Against the floor, ours by its: 1 is as good as it gets. Against others, theirs by ours."""
    def load(contender, letter):
        return results.median(contender, "replica", letter, "load")

    def whole(contender, server):
        return results.median(contender, server, "L", "wall")

    def best_load(letter):
        return least(load(shell, letter) for shell in SHELLS[:2])

    replica = least(whole(shell, "replica") for shell in SHELLS)
    minimal = whole("psql, one transaction", "minimal")
    ours = least(whole(name, "minimal") for name in ("overnight", "overnight, hash partitions"))
    return {
        "load_vs_floor": {letter: ratio(load("overnight", letter), load("floor", letter)) for letter in "LW"},
        "load_vs_two_psql": {letter: ratio(best_load(letter), load("overnight", letter)) for letter in "LW"},
        "run_vs_best_shell": {
            "replica": ratio(replica, whole("overnight", "replica")),
            "minimal": ratio(minimal, ours),
        },
        "run_vs_best_shell_by_contender": {
            server: {
                name: ratio(shell, whole(name, server)) for name in ("overnight", "overnight, hash partitions")
            }
            for server, shell in (("replica", replica), ("minimal", minimal))
        },
    }


def speeds(results, peer, inputs):
    """Rows per second of a peer's load, and how many times faster ours is."""
    found = {"rows_per_second": {}, "times_slower_than_overnight": {}}
    for letter, source in inputs.items():
        taken, ours = results.of(peer, "replica", letter), results.median("overnight", "replica", letter, "load")
        if taken:
            speed = taken[0].get("rows", source.rows) / results.median(peer, "replica", letter, "load")
            found["rows_per_second"][letter] = round(speed)
            found["times_slower_than_overnight"][letter] = ratio(source.rows / ours, speed) if ours else None
    return found


def document(results, inputs, facts):
    """Everything, for `--json`."""
    ours = [entry for entry in results.taken if entry["contender"].startswith("overnight")]
    overheads = {}
    for letter in inputs:
        rest = results.median("overnight", "replica", letter, "rest")
        wall = results.median("overnight", "replica", letter, "wall")
        overheads[letter] = round(100 * rest / wall, 2) if wall else None
    cpu = {letter: None for letter in "LW"}
    for letter, source in inputs.items():
        seconds = results.median("overnight", "replica", letter, "client_cpu")
        if seconds and source.rows:
            cpu[letter] = round(seconds * 1e6 / source.rows, 3)
    return {
        "ratios": ratios(results),
        "client_cpu_us_per_row": cpu,
        "peak_rss_mb": round(max((entry["peak_rss_mb"] for entry in ours), default=0), 1),
        "overhead_percent": max((value for value in overheads.values() if value is not None), default=None),
        "overhead_percent_by_input": overheads,
        "inputs": {
            letter: {"rows": source.rows, "plain_bytes": os.path.getsize(source.plain), "zstd_bytes": source.published_bytes()}
            for letter, source in inputs.items()
        },
        **facts,
        "peers": {name: {**peer, **speeds(results, name, inputs)} for name, peer in facts["peers"].items()},
        "measurements": results.taken,
    }


def markdown(results, inputs, facts):
    lines = [f"{facts['machine']['processor']}, {facts['machine']['cores']} cores, {facts['machine']['memory_gib']} GiB; {facts['versions']['postgres']}; {facts['versions']['overnight']}, commit {facts['versions']['commit']}."]
    lines += [f"Medians of {facts['rounds']} rounds; times in seconds, memory and WAL in MiB. Peers only load; slow ones once and only the first quarter of the rows."]
    for (server, letter), contenders in results.groups().items():
        source = inputs[letter]
        lines += ["", f"### {letter} on `{server}`: {source.rows:,} rows, {os.path.getsize(source.plain) / 1e6:,.0f} MB of text", ""]
        heads = ["contender", "whole", "load", "indexes", "rest", "rows/s of the load", "client CPU", "server CPU", "client memory", "WAL", "load: times two psql", "load: times the floor", "contents"]
        lines += [_row(heads), _row(["---"] + ["---:"] * (len(heads) - 2) + ["---"])]
        two = least(results.median(shell, server, letter, "load") for shell in SHELLS[:2])
        floor = results.median("floor", server, letter, "load")
        for contender in contenders:
            lines.append(_row(_cells(results, contender, server, letter, source, two, floor)))
    if facts["peers"]:
        lines += ["", _row(["peer", "version", "outcome"]), _row(["---"] * 3)]
        lines += [_row([name, peer.get("version") or "", peer["outcome"]]) for name, peer in facts["peers"].items()]
    return "\n".join(lines) + "\n"


def _cells(results, contender, server, letter, source, two, floor):
    median = {measure: results.median(contender, server, letter, measure) for measure in MEASURES}
    first = results.of(contender, server, letter)[0]
    rows = first.get("rows") or source.rows
    only_load = first.get("only_load")
    sliced = rows != source.rows
    # A slice says nothing about the whole but its rows per second.
    load = None if sliced else median["load"]
    return [
        contender + (f" (first {rows:,} rows)" if sliced else ""),
        "" if only_load else f"{median['wall']:.1f}",
        f"{median['load']:.1f}",
        "" if only_load else f"{median['index']:.1f}",
        "" if only_load else f"{median['rest']:.1f}",
        f"{rows / median['load']:,.0f}",
        f"{median['client_cpu']:.1f}",
        f"{median['server_cpu']:.1f}",
        f"{median['peak_rss_mb']:.0f}",
        f"{median['wal_mb']:.0f}",
        f"{load / two:.2f}" if load and two else "",
        f"{load / floor:.2f}" if load and floor else "",
        first["contents"],
    ]


def _row(cells):
    return "| " + " | ".join(cells) + " |"


def machine():
    processor, memory = platform.processor() or platform.machine(), None
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor)
        with open("/proc/meminfo", encoding="utf-8") as file:
            memory = next((int(line.split()[1]) for line in file if line.startswith("MemTotal")), None)
    except FileNotFoundError:
        pass
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**20) if memory else None,
        "system": platform.platform(),
    }


def said_by(command):
    """The first line of what a command prints."""
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return lines[0].strip() if lines else None


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path, value):
    write(path, json.dumps(value, indent=1) + "\n")
