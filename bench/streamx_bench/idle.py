"""Streams on which nothing happens: what they use, against none."""

import subprocess
import time

from .data import COLUMNS
from .servers import BROKER, Measure, Session, program_path, sql, wait_for


def idle_for(seconds, profiled):
    """What the servers use meanwhile; nobody asks them anything."""
    session = Session()
    measure = Measure(session, profiled)
    time.sleep(seconds)
    used = measure.stop()
    session.close()
    return {**used, "threads": measure.memory.threads, "rss_anonymous_all_mb": round(measure.memory.together, 1)}


def idle(data, kind, count):
    """Each stream has a view, a topic and one row, which has to be there in the end."""
    args = data.args
    none = idle_for(args.idle, False)
    if kind == "kafka":
        topic = "idle_%d" % time.time_ns()
        subprocess.run([program_path("produce"), "--brokers", BROKER, "--topic", topic, "--partitions", "1",
                        "--topics", str(count), "--events", str(count), "--quiet"], check=True)
        server = "SERVER broker OPTIONS (topic '%s-{i}', event_time 'ts')" % topic
        columns = ", ".join(COLUMNS).format(path=" OPTIONS (path 'event_time')")
    else:
        server = "SERVER streamx OPTIONS (event_time 'ts')"
        columns = ", ".join(COLUMNS).format(path="")
    begun = time.monotonic()
    for first in range(0, count, 100):
        sql("".join("""CREATE FOREIGN TABLE idle{i} ({columns}) {server};
                       CREATE VIEW idle_v{i} WITH (streamx.continuous) AS SELECT page, count(*) AS n
                       FROM idle{i} GROUP BY page;""".format(i=i, columns=columns, server=server.format(i=i))
                    for i in range(first, min(first + 100, count))))
    if kind == "native":
        sql("".join("INSERT INTO idle%d (page) VALUES ('a');" % i for i in range(count)))
    session = Session()
    total = "SELECT %s" % "+".join("(SELECT count(*) FROM idle_v%d WHERE n = 1)" % i for i in range(count))
    wait_for(session, "the row of each stream", lambda: session.query(total) == [[str(count)]], args.timeout, 1)
    ready = time.monotonic() - begun
    session.close()
    time.sleep(5)
    used = idle_for(args.idle, True)
    for first in range(0, count, 100):
        sql("DROP FOREIGN TABLE %s CASCADE" % ", ".join("idle%d" % i for i in range(first, min(first + 100, count))))
    # what is left to be done after that is not the next one's
    time.sleep(5)
    return {
        "streams": count,
        "ready_seconds": round(ready, 1),
        **used,
        "cpu_s_without": none["cpu_s_postgres"],
        "cpu_s_broker_without": none["cpu_s_broker"],
        # of one processor
        "cpu_percent": round(100 * (used["cpu_s_postgres"] - none["cpu_s_postgres"]) / used["seconds"], 2),
        "exact": True,          # else it would still wait
    }
