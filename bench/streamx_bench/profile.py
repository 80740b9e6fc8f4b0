"""Where PostgreSQL's cycles go while a workload is measured: perf's samples of
the server's processes, by thread, by room of src/ and by function."""

import collections
import glob
import os
import re
import signal
import subprocess
import threading

from .servers import POSTMASTER, TMP, children, command_line

FREQUENCY = 997
SOURCES = os.path.join(os.environ.get("BENCH_BIN", "bench"), "..", "src")


def room_of_symbols():
    """Name of a function -> room, from the objects; statics too."""
    rooms = {}
    for path in glob.glob(os.path.join(SOURCES, "*", "*.o")):
        room = os.path.basename(os.path.dirname(path))
        names = subprocess.run(["nm", "--defined-only", "-C", path], text=True, capture_output=True, check=True).stdout
        for line in names.splitlines():
            kind, _, name = line[17:].partition(" ")
            if kind in ("t", "T", "W"):
                rooms[re.sub(r"\(.*", "", name)] = room
    return rooms


class Profiler(threading.Thread):
    """Between start() and stop(); text is of that time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.perfs = {}         # process id -> (perf, its file)
        self.text = ""

    def run(self):
        # workers and sessions come and go
        while not self.done.wait(0.02):
            for pid, _ in children(POSTMASTER):
                if pid in self.perfs or not re.search("streamx worker|postgres bench", command_line(pid)):
                    continue
                path = os.path.join(TMP, "perf.%s.data" % pid)
                self.perfs[pid] = (subprocess.Popen(
                    ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-g", "-o", path, "-p", pid],
                    stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL), path)

    def stop(self):
        self.done.set()
        self.join()
        for perf, _ in self.perfs.values():
            perf.send_signal(signal.SIGINT)
        for perf, _ in self.perfs.values():
            perf.wait()
        self.text = self.read()
        for _, path in self.perfs.values():
            if os.path.exists(path):
                os.unlink(path)

    def samples(self):
        """(thread's name, [(function, library) from the innermost on])."""
        for _, path in self.perfs.values():
            if os.path.exists(path):
                yield from self.samples_of(path)

    def samples_of(self, path):
        script = subprocess.Popen(["perf", "script", "-f", "-i", path, "-F", "comm,ip,sym,dso"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace")
        thread, stack = None, []
        for line in script.stdout:
            line = line.rstrip("\n")
            if not line.strip():
                if thread is not None:
                    yield thread, stack
                thread, stack = None, []
            elif thread is None:
                thread = line.strip()
            else:
                match = re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line)
                if match:
                    name = re.sub(r"\+0x[0-9a-f]+$", "", match.group(1))
                    stack.append((name, match.group(2)))
        script.wait()

    def read(self):
        rooms = room_of_symbols()
        own, below, threads, symbols, entered = (collections.Counter() for _ in range(5))
        total = 0
        for thread, stack in self.samples():
            if not stack:
                continue
            total += 1
            threads[thread] += 1
            symbols[kind_of(stack[0], rooms) + "  " + stack[0][0]] += 1
            own[kind_of(stack[0], rooms)] += 1
            # on whose account: the innermost frame of ours
            for name, library in stack:
                if is_ours(library) and name in rooms:
                    below[rooms[name] + "/"] += 1
                    break
            else:
                below[thread if thread.startswith("rdk") else "outside of streamx"] += 1
            entered.update({name for name, library in stack if is_ours(library)})
        if total == 0:
            return "no samples\n"

        def table(title, counter, limit):
            out = [title]
            out += ["  %5.1f %%  %s" % (100 * count / total, name) for name, count in counter.most_common(limit)
                    if count * 200 >= total]
            return out
        return "\n".join([
            "%d samples, %.1f CPU s" % (total, total / FREQUENCY),
            *table("\nby thread", threads, 12),
            *table("\nby room, with what it calls", below, 20),
            *table("\nby code that runs", own, 20),
            *table("\nfunctions", symbols, 45),
            *table("\nfunctions of streamx, with what they call", entered, 60),
        ]) + "\n"


def is_ours(library):
    return os.path.basename(library) == "streamx.so"


def kind_of(frame, rooms):
    """Whose code a frame is."""
    name, library = frame
    base = os.path.basename(library).split(".so")[0]
    if is_ours(library):
        return rooms.get(name, "streamx") + "/"
    if library == "[unknown]":
        return "unknown"
    if library.startswith("[") or base == "vmlinux":
        return "kernel"
    if base == "postgres":
        return "PostgreSQL"
    return base
