"""Runs the workloads for bench/run, which starts the servers and says in the
environment where they are.  Standard library only; PostgreSQL through psql.

Each view is created over a topic that is there already; measured is the time
from CREATE until streamx.progress says that the view has read all of it.  The
ceiling (bench/ceiling: librdkafka, simdjson, a hash table, no database) reads
the same topic right afterwards; its groups are what the view's table has to
equal.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
DEFAULT_WORKLOADS = ["tumble", "hop", "hop-final", "join", "groups", "groups-final", "latency"]
CAMPAIGNS = 100

STREAM = """
CREATE FOREIGN TABLE {name} (
  ts timestamptz OPTIONS (path 'event_time'), ad_id int, page text,
  user_id bigint, event_type text, amount double precision,
  part int OPTIONS (metadata 'partition')
) SERVER broker OPTIONS (topic '{topic}', format 'json', event_time 'ts', watermark '{watermark}');
"""

# the view, and whether its row v differs from the ceiling's group x
WORKLOADS = {
    "tumble": (
        """SELECT tumble(ts, '1 minute') AS w, page, count(*) AS n, sum(amount) AS total,
                  avg(amount) AS average, min(amount) AS least, max(amount) AS greatest
           FROM events GROUP BY w, page""",
        "v.w = x.w AND v.page = x.txt",
        """v.n <> x.n OR abs(v.total - x.sum_cents / 100.0) > 1e-9 * x.sum_cents
           OR abs(v.average - x.sum_cents / 100.0 / x.n) > 1e-9 * x.sum_cents
           OR v.least <> (x.min_cents / 100.0)::float8 OR v.greatest <> (x.max_cents / 100.0)::float8""",
    ),
    "join": (
        """SELECT tumble(e.ts, '10 seconds') AS w, a.campaign_id, count(*) AS n
           FROM events e JOIN ads a ON a.ad_id = e.ad_id
           WHERE e.event_type = 'view' GROUP BY w, a.campaign_id""",
        "v.w = x.w AND v.campaign_id = x.num",
        "v.n <> x.n",
    ),
    "groups": (
        """SELECT tumble(ts, '1 minute') AS w, user_id, count(*) AS n, sum(amount) AS total
           FROM events GROUP BY w, user_id""",
        "v.w = x.w AND v.user_id = x.num",
        "v.n <> x.n OR abs(v.total - x.sum_cents / 100.0) > 1e-9 * x.sum_cents",
    ),
}
# the same with rows only when their window closes
WORKLOADS["groups-final"] = WORKLOADS["groups"]
# the same groups in 60 windows each
WORKLOADS["hop"] = (WORKLOADS["tumble"][0].replace("tumble(ts, '1 minute')", "hop(ts, '1 minute', '1 hour')"),
                    *WORKLOADS["tumble"][1:])
WORKLOADS["hop-final"] = WORKLOADS["hop"]
CEILINGS = {"groups-final": "groups", "hop": "tumble", "hop-final": "tumble"}


def psql_command(*args):
    return [os.environ["BENCH_PSQL"], "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
            "-h", os.environ["BENCH_SOCKET"], "-p", os.environ["BENCH_PORT"],
            "-U", "postgres", "-d", "bench", *args]


def sql(statement, database=None):
    command = psql_command()
    if database:
        command[-1] = database
    result = subprocess.run(command, input=statement, text=True, capture_output=True)
    if result.returncode != 0:
        raise SystemExit("runner: " + result.stderr.strip())
    return result.stdout.strip()


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
        raise SystemExit("runner: lost the connection to the server")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


def program(*args):
    """Runs one of bench's programs; its summary line as a dict of numbers."""
    command = [os.path.join(os.environ["BENCH_BIN"], args[0]), *map(str, args[1:])]
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if result.returncode != 0:
        raise SystemExit("runner: %s failed" % " ".join(command))
    return {key: float(value) for key, value in
            (pair.split("=") for pair in result.stdout.split())}


def stat(pid):
    """Fields of /proc/PID/stat after the command's name, or None."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_seconds(root, children):
    """User and system time of a process; with its children, living and dead."""
    total = 0
    for pid in os.listdir("/proc") if children else [root]:
        fields = stat(pid) if str(pid).isdigit() else None
        if fields is None:
            continue
        if int(pid) == root:
            total += sum(map(int, fields[11:15] if children else fields[11:13]))
        elif int(fields[1]) == root:
            total += sum(map(int, fields[11:13]))
    return total / TICKS


def cpu_postgres():
    return cpu_seconds(int(os.environ["BENCH_POSTMASTER"]), True)


def cpu_broker():
    return cpu_seconds(int(os.environ["BENCH_BROKER_PID"]), False)


class Memory(threading.Thread):
    """Peak memory of the workers of streamx while it runs, in MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.rss = self.anonymous = 0.0
        self.start()

    def run(self):
        postmaster = os.environ["BENCH_POSTMASTER"]
        while not self.done.wait(0.2):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                fields = stat(pid)
                if fields is None or fields[1] != postmaster:
                    continue
                try:
                    with open("/proc/%s/cmdline" % pid) as file:
                        if "streamx worker" not in file.read():
                            continue
                    with open("/proc/%s/status" % pid) as file:
                        sizes = dict(line.split(":", 1) for line in file)
                except (OSError, ValueError):
                    continue
                self.rss = max(self.rss, int(sizes["VmRSS"].split()[0]) / 1024)
                self.anonymous = max(self.anonymous, int(sizes["RssAnon"].split()[0]) / 1024)

    def stop(self):
        self.done.set()
        self.join()


class Measure:
    """What the servers use between two moments."""

    def __init__(self, session):
        self.session = session
        self.memory = Memory()
        self.postgres = cpu_postgres()
        self.broker = cpu_broker()
        self.wal = session.query("SELECT pg_current_wal_insert_lsn()")[0][0]
        self.time = time.monotonic()

    def stop(self):
        seconds = time.monotonic() - self.time
        self.memory.stop()
        wal = self.session.query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '%s')" % self.wal)
        return {
            "seconds": round(seconds, 3),
            "cpu_s_postgres": round(cpu_postgres() - self.postgres, 2),
            "cpu_s_broker": round(cpu_broker() - self.broker, 2),
            "wal_bytes": int(wal[0][0]),
            "rss_mb": round(self.memory.rss, 1),
            "rss_anonymous_mb": round(self.memory.anonymous, 1),
        }


def check_view(session, view):
    state = session.query("SELECT state, error FROM streamx.views WHERE view = '%s'::regclass" % view)
    if state and state[0][0] == "stopped":
        raise SystemExit("runner: view %s has stopped: %s" % (view, state[0][1]))


def catch_up(workload, args, consumer):
    query, same_group, differs = WORKLOADS[workload]
    final = workload.endswith("-final")
    broker = ["--brokers", os.environ["BENCH_BROKER"], "--topic", "events"]
    dump = os.path.join(os.environ["BENCH_TMP"], "ceiling." + workload)
    session = Session()

    measure = Measure(session)
    sql("CREATE VIEW v WITH (streamx.continuous, streamx.emit = '%s') AS %s"
        % ("final" if final else "update", query))
    deadline = time.monotonic() + args.timeout
    while True:
        got = session.query("SELECT coalesce(sum(next_offset), 0) FROM streamx.progress WHERE view = 'v'::regclass")
        if int(got[0][0]) >= args.events:
            break
        check_view(session, "v")
        if time.monotonic() > deadline:
            raise SystemExit("runner: %s has read %s of %d events in %d seconds"
                             % (workload, got[0][0], args.events, args.timeout))
        time.sleep(0.02)
    used = measure.stop()

    ceiling = program("ceiling", "aggregate", *broker, "--workload", CEILINGS.get(workload, workload),
                      "--campaigns", CAMPAIGNS, "--dump", dump)
    # the tab-separated dump is COPY's own text format
    sql("""CREATE TEMP TABLE raw (us bigint, num bigint, txt text, n bigint,
                                  sum_cents bigint, min_cents bigint, max_cents bigint);
           \\copy raw FROM '%s'
           CREATE TABLE x AS SELECT 'epoch'::timestamptz + us * interval '1 microsecond' AS w, * FROM raw;
           ANALYZE x""" % dump)
    counted = int(sql("SELECT sum(n) FROM x"))
    if workload.startswith("hop"):
        # each of its windows is made of 60 of the ceiling's
        sql("""CREATE TABLE hops AS
               SELECT h AS w, num, txt, sum(n) AS n, sum(sum_cents) AS sum_cents,
                      min(min_cents) AS min_cents, max(max_cents) AS max_cents
               FROM x, hop(w, '1 minute', '1 hour') AS h GROUP BY h, num, txt;
               DROP TABLE x; ALTER TABLE hops RENAME TO x; ANALYZE x""")
    # a final view has the windows that have closed
    expected = "x"
    if final:
        size = "1 hour" if workload.startswith("hop") else "1 minute"
        expected = ("(SELECT * FROM x WHERE w + interval '%s' <="
                    " (SELECT watermark FROM streamx.views WHERE view = 'v'::regclass)) x" % size)
    differences = int(sql("SELECT count(*) FROM v FULL JOIN %s ON %s WHERE v.w IS NULL OR x.w IS NULL OR %s"
                          % (expected, same_group, differs)))
    rows = int(sql("SELECT count(*) FROM v"))
    sql("DROP VIEW v; DROP TABLE x")
    session.close()
    os.unlink(dump)

    rate = args.events / used["seconds"]
    return {
        "workload": workload,
        "events": args.events,
        "events_per_s": round(rate),
        **used,
        "cpu_s_per_million": round(used["cpu_s_postgres"] * 1e6 / args.events, 3),
        "rows": rows,
        "ceiling_events_per_s": round(ceiling["events_per_s"]),
        "ratio": round(rate / ceiling["events_per_s"], 3),
        "consumer_events_per_s": round(consumer),
        "consumer_ratio": round(rate / consumer, 3),
        # join counts views only, so the groups hold fewer events than the topic
        "exact": differences == 0 and ceiling["events"] == args.events and
                 (workload == "join" or counted == args.events),
    }


def percentile(weighted, share):
    """Of (value, weight) pairs."""
    weighted = sorted(weighted)
    wanted = share * sum(weight for _, weight in weighted)
    for value, weight in weighted:
        wanted -= weight
        if wanted <= 0:
            return value
    return weighted[-1][0]


def latency(args):
    """From sending an event to seeing it in the table, at a steady rate.

    Each event's time is the time of sending.  A client polls, per partition, how
    many events the table has counted and the newest one's time; what came in
    between two polls was sent evenly between their two newest times.
    """
    topic = "latency"
    total = args.rate * args.duration
    produce = [os.path.join(os.environ["BENCH_BIN"], "produce"), "--brokers", os.environ["BENCH_BROKER"],
               "--topic", topic, "--partitions", str(args.partitions), "--compression", args.compression, "--now"]
    subprocess.run([*produce, "--events", str(args.partitions), "--quiet"], check=True)
    sql(STREAM.format(name="now_events", topic=topic, watermark="1 second") +
        """CREATE VIEW v WITH (streamx.continuous) AS
           SELECT part, count(*) AS n, max(ts) AS newest FROM now_events GROUP BY part""")
    session = Session()
    poll = "SELECT part, n, extract(epoch FROM newest) FROM v"
    deadline = time.monotonic() + 60
    while sum(int(row[1]) for row in session.query(poll)) < args.partitions:
        check_view(session, "v")
        if time.monotonic() > deadline:
            raise SystemExit("runner: the view of the latency workload does not start")
        time.sleep(0.02)

    measure = Measure(session)
    producer = subprocess.Popen([*produce, "--events", str(total), "--rate", str(args.rate), "--quiet"])
    begun = time.time()
    seen = {}
    samples = []
    while True:
        rows = session.query(poll)
        now = time.time()
        for part, n, newest in rows:
            n, newest = int(n), float(newest)
            before_n, before = seen.get(part, (n, newest))
            # the first two seconds warm up
            if n > before_n and before > begun + 2:
                for i in range(1, 11):
                    samples.append((now - before - (newest - before) * i / 10, (n - before_n) / 10))
            seen[part] = (n, newest)
        if sum(n for n, _ in seen.values()) >= total + args.partitions:
            break
        check_view(session, "v")
        if now > begun + args.duration + 60:
            raise SystemExit("runner: the view is more than a minute behind the producer")
        time.sleep(0.005)
    producer.wait()
    used = measure.stop()
    sql("DROP VIEW v")
    session.close()
    return {
        "workload": "latency",
        "events": total,
        "events_per_s": round(total / used["seconds"]),
        **used,
        "latency_p50_ms": round(percentile(samples, 0.5) * 1000, 1),
        "latency_p99_ms": round(percentile(samples, 0.99) * 1000, 1),
        "latency_max_ms": round(max(value for value, _ in samples) * 1000, 1),
        "ceiling_events_per_s": None,
        "ratio": None,
        "exact": sum(n for n, _ in seen.values()) == total + args.partitions,
    }


def show(result):
    if result["workload"] == "latency":
        print("latency   {events_per_s:>9,} events/s   visible after p50 {latency_p50_ms} ms, p99 {latency_p99_ms} ms, "
              "max {latency_max_ms} ms   exact: {exact}".format(**result))
    else:
        print("{workload:<12} {events_per_s:>9,} events/s   {cpu_s_per_million} CPU s per million   "
              "{rows:,} rows   WAL {wal_mb:.0f} MB   worker {rss_mb:.0f} MB   broker {cpu_s_broker} CPU s\n"
              "             ceiling {ceiling_events_per_s:,} (ratio {ratio})   bare consumer "
              "{consumer_events_per_s:,} (ratio {consumer_ratio})   exact: {exact}"
              .format(wal_mb=result["wal_bytes"] / 1e6, **result))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(
        prog="bench/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Benchmarks streamx on a broker and a server of its own.",
        epilog="""workloads:
  tumble    1-minute windows by page, 1,000 groups each: count, sum, avg, min, max
  hop       the same in windows of an hour, one every minute
  hop-final  the same with emit = 'final'
  join      filter, join with a table, count per campaign and 10 seconds
  groups    1-minute windows by user, 100,000 groups each: count, sum
  groups-final  the same with emit = 'final': rows are written as windows close
  latency   from producing to seeing an event in the table, at a steady rate

The ceiling is librdkafka, simdjson and a hash table in one thread, doing the
same work on the same topic without a database; the bare consumer only takes
the messages.""")
    parser.add_argument("workload", nargs="*", help="default: all")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--compression", default="lz4")
    parser.add_argument("--disorder", type=int, default=0, metavar="MS")
    parser.add_argument("--keys", default="none", choices=["none", "page", "user"])
    parser.add_argument("--rate", type=int, default=10_000, help="of latency, events per second")
    parser.add_argument("--duration", type=int, default=30, help="of latency, seconds")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds that a view may take to catch up")
    parser.add_argument("--json", action="store_true", help="one JSON object a workload, one a line")
    args = parser.parse_args()
    workloads = args.workload or DEFAULT_WORKLOADS
    for workload in workloads:
        if workload not in DEFAULT_WORKLOADS:
            parser.error("no such workload: " + workload)

    sql("CREATE DATABASE bench", database="postgres")
    sql("CREATE EXTENSION streamx;"
        "CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '%s');"
        % os.environ["BENCH_BROKER"])
    consumer = None
    if workloads != ["latency"]:
        broker = ["--brokers", os.environ["BENCH_BROKER"], "--topic", "events"]
        produced = program("produce", *broker, "--events", args.events, "--partitions", args.partitions,
                           "--compression", args.compression, "--disorder", args.disorder, "--keys", args.keys)
        if not args.json:
            print("produced {:,} events of {:.0f} bytes at {:,.0f} a second".format(
                args.events, produced["bytes"] / args.events, produced["events_per_s"]), flush=True)
        # later than anything comes: no window closes before its last event
        sql(STREAM.format(name="events", topic="events", watermark="%d milliseconds" % (args.disorder + 5000)) +
            """CREATE TABLE ads (ad_id int PRIMARY KEY, campaign_id int NOT NULL);
               INSERT INTO ads SELECT n, n %% %d FROM generate_series(0, 999) n;
               ANALYZE ads""" % CAMPAIGNS)
        # the better of two: the first one warms the broker up
        consumer = max(program("ceiling", "consume", *broker)["events_per_s"] for _ in range(2))

    exact = True
    for workload in workloads:
        result = latency(args) if workload == "latency" else catch_up(workload, args, consumer)
        exact = exact and result["exact"]
        if args.json:
            print(json.dumps(result), flush=True)
        else:
            show(result)
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
