"""Runs commands side by side and says what they cost: time, processor, memory, WAL."""

import os
import signal
import subprocess
import tempfile
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A command of a contender failed; the text is what it said last."""


class Cost:
    """What a group of commands cost their side of the wire."""

    def __init__(self):
        self.wall = self.cpu = self.peak_mb = 0.0

    def then(self, other):
        self.wall += other.wall
        self.cpu += other.cpu
        self.peak_mb = max(self.peak_mb, other.peak_mb)


def together(commands, environment=None, limit=None, stdout=None):
    """Runs commands side by side and waits for all.

    Processor time and peak memory are those of each command and of what it waited for; memory of
    commands that run side by side is added up.
    """
    cost, running, failures = Cost(), [], []
    began = time.monotonic()
    for command in commands:
        said = tempfile.TemporaryFile()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout or said,
            stderr=said,
            start_new_session=True,
        )
        running.append((process, said))
    timer = None
    if limit:
        timer = threading.Timer(limit, _end, [[process.pid for process, _ in running]])
        timer.start()
    try:
        for process, said in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cost.cpu += usage.ru_utime + usage.ru_stime
            cost.peak_mb += usage.ru_maxrss / 1024
            if process.returncode:
                said.seek(0)
                text = said.read().decode("utf-8", "replace").strip() or f"ended with {process.returncode}"
                if limit and time.monotonic() - began >= limit:
                    text = f"stopped after {limit} s; " + text
                failures.append(text[-2000:])
    except BaseException:
        _end([process.pid for process, _ in running if process.returncode is None])
        raise
    finally:
        if timer:
            timer.cancel()
        for _, said in running:
            said.close()
    cost.wall = time.monotonic() - began
    if failures:
        raise Failed("\n".join(failures))
    return cost


def _end(pids):
    for pid in pids:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def server_cpu(postmaster):
    """Seconds of processor that a server has used: its own, of children that ended, and of those alive."""
    total = 0
    for pid in [postmaster] + _children(postmaster):
        fields = stat_of(pid)
        if fields:
            # utime, stime; of the postmaster also what its ended children had: cutime, cstime.
            total += sum(int(field) for field in fields[11:15 if pid == postmaster else 13])
    return total / TICKS


def _children(parent):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_of(int(name))
            if fields and int(fields[1]) == parent:
                found.append(int(name))
    return found


def stat_of(pid):
    """The fields of /proc/PID/stat after the name, which may hold blanks."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


class Watch:
    """Measures a contender on a server, phase by phase."""

    PHASES = ("load", "index", "rest")

    def __init__(self, server, environment):
        self.server, self.environment = server, environment
        server.sql("postgres", "checkpoint")
        self.phases = dict.fromkeys(self.PHASES, 0.0)
        self.cost = Cost()
        self._wal, self._cpu = server.wal(), server_cpu(server.pid)

    def run(self, phase, commands, limit=None, stdout=None):
        """Runs commands side by side and adds them to a phase."""
        cost = together(commands, self.environment, limit, stdout)
        self.cost.then(cost)
        self.phases[phase] += cost.wall
        return cost

    def result(self):
        cpu = server_cpu(self.server.pid) - self._cpu
        return {
            "wall": self.cost.wall,
            **self.phases,
            "client_cpu": self.cost.cpu,
            "server_cpu": cpu,
            "peak_rss_mb": self.cost.peak_mb,
            "wal_mb": (self.server.wal() - self._wal) / 2**20,
        }
