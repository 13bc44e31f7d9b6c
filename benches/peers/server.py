"""A private PostgreSQL server: made, started, asked, and removed at the end.

Root may not run a server, so as root it runs as `postgres`, and its folder must be one that this
user can enter. The superuser is reached through the socket only, in a folder of the server's own;
over TCP, which some peers need, everybody needs the password.
"""

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

COMMON = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "256MB",
    "fsync": "on",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "50",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
SETTINGS = {
    "replica": {**COMMON, "wal_level": "replica"},
    "minimal": {**COMMON, "wal_level": "minimal", "max_wal_senders": "0"},
}
ADMIN, LOADER, READER = "bench", "overnight", "bench_reader"


def programs():
    """The folder of initdb and postgres."""
    candidates = [os.path.dirname(shutil.which("initdb") or "")]
    try:
        candidates.append(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
    except FileNotFoundError:
        pass
    for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/pgsql/bin"):
        candidates += sorted(glob.glob(pattern), reverse=True)
    for folder in candidates:
        if folder and all(os.access(os.path.join(folder, name), os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise SystemExit("bench: initdb and postgres were not found; run scripts/install-postgres")


def account():
    """Arguments for subprocess that run a program as the user of the server."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def place(wanted):
    """A new folder that the server's user owns: below `wanted` if that user can get there."""
    for parent in (wanted, tempfile.gettempdir(), "/tmp"):
        os.makedirs(parent, exist_ok=True)
        reached = subprocess.run(["test", "-x", parent], cwd="/", check=False, **account())
        if reached.returncode == 0:
            return private(parent)
    raise SystemExit(f"bench: the user of the server can enter neither `{wanted}` nor a temporary folder")


def private(parent):
    folder = tempfile.mkdtemp(prefix="overnight-bench-", dir=parent)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    return folder


class Server:
    def __init__(self, name, folder, sockets, durable=True):
        self.name, self.sockets = name, sockets
        self.settings = {**SETTINGS[name], "fsync": "on" if durable else "off"}
        self.bin = programs()
        self.data = os.path.join(folder, name)
        self.log = os.path.join(folder, f"{name}.log")
        self.password = secrets.token_hex(16)
        self.process = None
        self.port = _free_port()
        self._make()

    def _make(self):
        self._run("initdb", "-D", self.data, "-U", ADMIN, "--no-locale", "-E", "UTF8", "--auth=trust", "--no-sync", "--no-instructions")
        settings = {
            **self.settings,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": self.sockets,
            "log_min_messages": "warning",
        }
        self._write("postgresql.conf", "".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self._write("pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def _write(self, name, text):
        subprocess.run(["sh", "-c", 'cat >"$1"', "sh", os.path.join(self.data, name)], input=text, text=True, check=True, cwd="/", **account())

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], capture_output=True, text=True, cwd="/", check=False, **account())
        if done.returncode:
            raise SystemExit(f"bench: {program} failed: {done.stderr.strip()}")

    def start(self):
        opened = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with os.fdopen(opened, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "postgres"), "-D", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **account(),
            )
        self._watch()
        for _ in range(300):
            if self.process.poll() is not None:
                break
            if subprocess.run(self.psql("postgres", "-c", "select"), env=self.environment(), capture_output=True, check=False).returncode == 0:
                self.sql("postgres", f"alter role {ADMIN} password '{self.password}'")
                self.sql("postgres", f"create role {LOADER} login createdb; grant pg_signal_backend to {LOADER}; create role {READER} login")
                return self
            time.sleep(0.1)
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise SystemExit(f"bench: the server `{self.name}` did not start:\n{log.read()[-3000:]}")

    def _watch(self):
        """Ends the server when this process ends, also when it is killed: then `read` meets the end of its input."""
        self.watchdog = subprocess.Popen(
            ["sh", "-c", 'read line; kill -QUIT "$1" 2>/dev/null', "watchdog", str(self.process.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        if self.process:
            # It was to end a process that is gone: end it instead of letting it read.
            self.watchdog.kill()
            self.watchdog.wait()
            self.process = None

    @property
    def pid(self):
        return self.process.pid

    def environment(self):
        """For libpq: the superuser through the socket."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "OVERNIGHT_", "AWS_"))}
        return {**kept, "PGHOST": self.sockets, "PGPORT": str(self.port), "PGUSER": ADMIN, "PGPASSWORD": self.password}

    def psql(self, database, *arguments):
        """A psql that stops at the first error."""
        beside = os.path.join(self.bin, "psql")
        program = beside if os.access(beside, os.X_OK) else "psql"
        return [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, *arguments]

    def sql(self, database, statements):
        """The rows of the last statement, as text."""
        done = subprocess.run(self.psql(database, "-At", "-F", "\t", "-c", statements), env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{statements}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def wal(self):
        return int(self.sql("postgres", "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])

    def fresh(self, database):
        self.drop(database)
        self.sql("postgres", f"create database {database} template template0")

    def drop(self, database):
        self.sql("postgres", f'drop database if exists "{database}" with (force)')

    def drop_builds(self, dataset):
        """Removes the alias and builds of a dataset, and the ledger that knows them."""
        listed = self.sql("postgres", f"select datname from pg_database where datname ~ '^({dataset}(_[0-9]{{8}}t[0-9]+z.*)?|overnight)$'")
        for (name,) in listed:
            self.drop(name)

    def url(self, user, database):
        """Through the socket."""
        return f"postgresql://{user}@/{database}?host={self.sockets.replace('/', '%2F')}&port={self.port}"

    def tcp_url(self, database):
        """For the superuser, with the password."""
        return f"postgresql://{ADMIN}:{self.password}@127.0.0.1:{self.port}/{database}"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
