"""The other programs that load files into Postgres: where they come from, and how each is called.

A peer that cannot be installed or that fails stays in the table, with the reason.
"""

import json
import os
import re
import shutil
import subprocess
import sys

from measure import Failed, Watch

LOADERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loaders")
# No peer may take longer for one load.
LIMIT_SECONDS = 1200
# Of a slow peer's input: one row in four.
SLICE = 4

# Packages of PyPI; pgloader is Debian's. The extension of DuckDB is made for one version of DuckDB.
PEERS = {
    "duckdb": {"packages": ["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"]},
    "adbc": {"packages": ["pyarrow", "adbc-driver-manager", "adbc-driver-postgresql"]},
    "polars": {"packages": ["polars", "pyarrow", "adbc-driver-manager", "adbc-driver-postgresql"]},
    "sling": {"packages": ["sling-linux-amd64"], "slow": True},
    "dlt": {"packages": ["dlt[postgres]", "pyarrow"], "slow": True},
    "pgloader": {"packages": [], "slow": True},
}


def _venv(out):
    return os.path.join(out, "venv")


def install(out, say):
    """Installs every peer that can be installed; the others are told, and found missing later."""
    python = os.path.join(_venv(out), "bin", "python")
    if not os.path.exists(python):
        make = [sys.executable, "-m", "venv", "--clear", _venv(out)]
        made = subprocess.run(make, capture_output=True, text=True, check=False)
        # Debian has the module in a package of its own.
        if made.returncode and _debian("python3-venv"):
            made = subprocess.run(make, capture_output=True, text=True, check=False)
        if made.returncode:
            say(f"no virtual environment: {(made.stderr or made.stdout).strip()}")
            return 1
    for name, peer in PEERS.items():
        if name == "pgloader":
            done = shutil.which(name) or _debian(name)
        else:
            ran = subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *peer["packages"]], capture_output=True, text=True, check=False)
            with open(os.path.join(_venv(out), f"{name}.log"), "w", encoding="utf-8") as file:
                file.write(ran.stderr)
            done = ran.returncode == 0
        found = Peer(name, out)
        say(f"{name}: {'version ' + str(found.version) if done and found.usable else found.reason}")
    return 0


def _debian(package):
    install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", package]
    before = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        return subprocess.run([*before, *install], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


def find(names, out):
    return {name: Peer(name, out) for name in names}


class Peer:
    def __init__(self, name, out):
        self.name, self.out = name, out
        self.slow = PEERS[name].get("slow", False)
        self.failures = {}
        self.reason = None
        self.version = self._version()
        if self.version is None and self.reason is None:
            self.reason = "not installed: scripts/bench --install-peers"
        self.usable = self.reason is None

    def _version(self):
        if self.name == "pgloader":
            if not shutil.which("pgloader"):
                self.reason = "not installed: Debian's package `pgloader` is missing"
                return None
            said = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=False).stdout.split()
            return said[2].strip('"') if len(said) > 2 else "unknown"
        python = os.path.join(_venv(self.out), "bin", "python")
        packages = [package.split("==")[0].split("[")[0] for package in PEERS[self.name]["packages"]]
        ask = "import sys, importlib.metadata as m; print(' '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
        try:
            asked = subprocess.run([python, "-c", ask, *packages], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        if asked.returncode == 0:
            return asked.stdout.strip().replace(" ", "-", 1) if len(packages) == 1 else asked.stdout.strip()
        log = os.path.join(_venv(self.out), f"{self.name}.log")
        if os.path.exists(log):
            with open(log, encoding="utf-8") as file:
                lines = file.read().strip().splitlines()
            if lines:
                self.reason = f"does not install: {lines[-1][:200]}"
        return None

    def failed(self, letter, failed):
        """A peer that fails is not run again in this run on this input."""
        lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", str(failed)).splitlines() if line.strip()]
        self.failures[letter] = (lines[-1] if lines else "no message")[:300]
        print(f"bench: {self.name}, {letter}: {failed}", file=sys.stderr)

    def outcome(self):
        if not self.usable:
            outcome = self.reason
        elif self.failures:
            outcome = "; ".join(f"failed on {letter}: {why}" for letter, why in self.failures.items())
        else:
            outcome = "ran, on the first quarter of the rows" if self.slow else "ran"
        return {"version": self.version, "outcome": outcome.replace("|", "/")}

    def load(self, server, table, source, path=None):
        """Loads a file into an empty table; no indexes. Returns the database and the costs."""
        if table.letter in self.failures:
            raise Failed(self.failures[table.letter])
        database = f"peer_{self.name}"
        server.fresh(database)
        server.sql(database, table.create())
        watch = Watch(server, {**server.environment(), **self._environment()})
        # What it leaves lying about goes below --out.
        workplace = os.path.join(self.out, f"work-{self.name}")
        shutil.rmtree(workplace, ignore_errors=True)
        os.makedirs(workplace)
        try:
            watch.run("load", [self._command(server, database, table, path or source.plain, workplace)], LIMIT_SECONDS)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
        return database, {**watch.result(), "only_load": True}

    def load_slice(self, server, table, source):
        """Loads the first quarter; also compares it, with what psql makes of the same lines."""
        part = os.path.join(source.folder, "slice.txt")
        rows = max(1, source.rows // SLICE)
        with open(part, "wb") as file:
            subprocess.run(["head", "-n", str(rows + 1), source.plain], stdout=file, check=True)
        try:
            expected = _reference(server, table, part)
            database, result = self.load(server, table, source, part)
        finally:
            os.remove(part)
        got, trimmed = (server.sql(database, table.digest(trim))[0] for trim in (False, True))
        others = sorted({row[1] for row in server.sql(database, table.types()) if row[:2] not in [known[:2] for known in source.types]})
        findings = []
        if got[0] != expected[0][0]:
            findings.append(f"{got[0]} rows instead of {expected[0][0]}")
        elif got != expected[0]:
            findings.append("texts lost blanks at their ends" if trimmed == expected[1] else "contents differ")
        if others:
            findings.append(f"columns have other types: {', '.join(others)}")
        return database, {**result, "rows": rows}, "; ".join(findings) or "same"

    def _environment(self):
        quiet = {"DLT_TELEMETRY": "0", "RUNTIME__DLTHUB_TELEMETRY": "false", "SLING_DISABLE_TELEMETRY": "true", "NO_COLOR": "1", "POLARS_VERBOSE": "0"}
        return {**quiet, "PYTHONDONTWRITEBYTECODE": "1"}

    def _command(self, server, database, table, path, workplace):
        python = os.path.join(_venv(self.out), "bin", "python")
        if self.name == "pgloader":
            script = os.path.join(workplace, "load.pgloader")
            with open(script, "w", encoding="utf-8") as file:
                file.write(_pgloader(server, database, table, path))
            return ["pgloader", "--quiet", "--root-dir", workplace, script]
        job = os.path.join(workplace, "job.json")
        with open(job, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "file": path,
                    "table": table.name,
                    "columns": [[name, kind.split(" collate")[0]] for name, kind, _ in table.columns],
                    "socket": server.url("bench", database),
                    "tcp": server.tcp_url(database),
                    "workplace": workplace,
                },
                file,
            )
        os.chmod(job, 0o600)
        return [python, os.path.join(LOADERS, f"load_{self.name}.py"), job]


def _reference(server, table, part):
    database = "peer_reference"
    server.fresh(database)
    server.sql(database, table.create())
    copy = f"\\copy {table.name} from '{part}' with (format csv, delimiter '|', header true)"
    subprocess.run(server.psql(database, "-c", copy), env=server.environment(), check=True)
    expected = [server.sql(database, table.digest(trim))[0] for trim in (False, True)]
    server.drop(database)
    return expected


def _pgloader(server, database, table, path):
    columns = ", ".join(table.names)
    return f"""load csv from '{path}' ({columns})
  into postgresql://bench:{server.password}@127.0.0.1:{server.port}/{database}?{table.name} ({columns})
  with skip header = 1, fields terminated by '|', fields not enclosed, keep unquoted blanks, workers = 2, concurrency = 1
  set work_mem to '64MB';
"""
