"""What runs: SQL through psql, bench's programs, and what they all use."""

import os
import re
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
POSTMASTER = os.environ.get("BENCH_POSTMASTER", "0")
BROKER = os.environ.get("BENCH_BROKER", "")
TMP = os.environ.get("BENCH_TMP", "/tmp")


def fail(message):
    raise SystemExit("bench: " + message)


def psql_command(*args, database="bench"):
    return [os.environ["BENCH_PSQL"], "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
            "-h", os.environ["BENCH_SOCKET"], "-p", os.environ["BENCH_PORT"],
            "-U", "postgres", "-d", database, *args]


def sql(statement, database="bench", variables=()):
    """Runs a script; what it prints."""
    options = [word for pair in variables for word in ("-v", pair)]
    result = subprocess.run(psql_command(*options, database=database), input=statement, text=True,
                            capture_output=True)
    if result.returncode != 0:
        fail(result.stderr.strip())
    return result.stdout.strip()


def start_sql(path):
    """A session of its own that runs the file."""
    return subprocess.Popen(psql_command("-f", path), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Session:
    """One psql that stays connected: an answer takes about a millisecond."""

    def __init__(self):
        self.psql = subprocess.Popen(psql_command(), stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.PIPE, bufsize=1)

    def query(self, statement):
        self.psql.stdin.write(statement + ";\n\\echo --end\n")
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line == "--end\n":
                return lines
            lines.append(line.rstrip("\n").split("|"))
        fail("lost the connection to the server")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


def program_path(name):
    return os.path.join(os.environ["BENCH_BIN"], name)


def program(*args):
    """Runs one of bench's programs; its summary line as a dict of numbers."""
    command = [program_path(args[0]), *map(str, args[1:])]
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if result.returncode != 0:
        fail("%s failed" % " ".join(command))
    return {key: float(value) for key, value in
            (pair.split("=") for pair in result.stdout.split())}


def stat(pid):
    """Fields of /proc/PID/stat after the command's name, or None."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def children(parent):
    """(pid, fields of stat) of its living children."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = stat(pid)
        if fields is not None and fields[1] == str(parent):
            yield pid, fields


def cpu_postgres():
    """User and system time of the postmaster and its children, living and dead."""
    own = stat(POSTMASTER)
    total = sum(map(int, own[11:15]))
    return (total + sum(sum(map(int, fields[11:13])) for _, fields in children(POSTMASTER))) / TICKS


def cpu_broker():
    return sum(map(int, stat(os.environ["BENCH_BROKER_PID"])[11:13])) / TICKS


def command_line(pid):
    try:
        with open("/proc/%s/cmdline" % pid) as file:
            return file.read()
    except OSError:
        return ""


def workers():
    """Process ids of streamx's workers and their fold processes."""
    return [pid for pid, _ in children(POSTMASTER) if re.search("streamx (worker|fold)", command_line(pid))]


def pin(cpus):
    """Lets PostgreSQL's processes and all their threads run on these processors only."""
    for pid in [POSTMASTER, *(pid for pid, _ in children(POSTMASTER))]:
        try:
            for thread in os.listdir("/proc/%s/task" % pid):
                os.sched_setaffinity(int(thread), cpus)
        except OSError:
            pass


class Memory(threading.Thread):
    """Peak memory of streamx's workers, each and together, in MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.rss = self.anonymous = self.together = 0.0
        self.threads = 0
        self.start()

    def run(self):
        pids = []
        rounds = 0
        while not self.done.wait(0.1):
            # who they are is asked less often
            if rounds % 5 == 0:
                pids = workers()
            rounds += 1
            together = threads = 0
            for pid in pids:
                try:
                    with open("/proc/%s/status" % pid) as file:
                        sizes = dict(line.split(":", 1) for line in file)
                    rss, anonymous = (int(sizes[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
                    threads += int(sizes["Threads"])
                except (OSError, ValueError, KeyError):
                    continue
                self.rss = max(self.rss, rss)
                self.anonymous = max(self.anonymous, anonymous)
                together += anonymous
            self.together = max(self.together, together)
            self.threads = max(self.threads, threads)

    def stop(self):
        self.done.set()
        self.join()


class Measure:
    """What the servers use between two moments."""

    make_profiler = None        # profile.py
    profile = ""                # the text of the last one

    def __init__(self, session, profiled=True):
        """profiled: it is the workload itself, not what it is compared with."""
        self.session = session
        self.memory = Memory()
        self.profiler = None
        if Measure.make_profiler and profiled:
            self.profiler = Measure.make_profiler()
            self.profiler.start()
        self.postgres = cpu_postgres()
        self.broker = cpu_broker()
        self.wal = session.query("SELECT pg_current_wal_insert_lsn()")[0][0]
        self.time = time.monotonic()

    def elapsed(self):
        return time.monotonic() - self.time

    def stop(self):
        seconds = self.elapsed()
        # what sessions have used is seen when they are gone
        time.sleep(0.1)
        postgres = cpu_postgres() - self.postgres
        broker = cpu_broker() - self.broker
        if self.profiler:
            self.profiler.stop()
            Measure.profile = self.profiler.text
        self.memory.stop()
        wal = self.session.query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '%s')" % self.wal)
        return {
            "seconds": round(seconds, 3),
            "cpu_s_postgres": round(postgres, 2),
            "cpu_s_broker": round(broker, 2),
            "wal_bytes": int(wal[0][0]),
            "rss_mb": round(self.memory.rss, 1),
            "rss_anonymous_mb": round(self.memory.anonymous, 1),
        }


def check_views(session):
    """No view may have stopped, nothing may be a dead letter."""
    for view, error in session.query("SELECT view, error FROM streamx.views WHERE state = 'stopped'"):
        fail("view %s has stopped: %s" % (view, error))


def wait_for(session, what, done, timeout, pause=0.02):
    """Polls until done() is true; what: for the message when it never is."""
    deadline = time.monotonic() + timeout
    while not done():
        check_views(session)
        if time.monotonic() > deadline:
            fail("%s is not there after %d seconds" % (what, timeout))
        time.sleep(pause)
