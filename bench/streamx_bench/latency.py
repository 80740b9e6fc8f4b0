"""From sending an event to seeing it in the table, at a steady rate.

Each event's time is the time of sending.  A client polls, per partition, how
many events the table has counted and the newest one's time; what came in
between two polls was sent evenly between their two newest times.
"""

import subprocess
import time

from .servers import BROKER, Measure, Session, check_views, fail, program_path, sql, wait_for


def percentile(weighted, share):
    """Of sorted (value, weight) pairs."""
    wanted = share * sum(weight for _, weight in weighted)
    for value, weight in weighted:
        wanted -= weight
        if wanted <= 0:
            return value
    return weighted[-1][0]


def latency(data, rate):
    args = data.args
    topic = "latency_%d_%d" % (rate, time.time_ns())
    total = rate * args.duration
    produce = [program_path("produce"), "--brokers", BROKER, "--topic", topic, "--data", args.format, "--partitions",
               str(args.partitions), "--compression", args.compression, "--now", "--quiet"]
    subprocess.run([*produce, "--events", str(args.partitions)], check=True)
    data.stream("now_events", topic, watermark="1 second")
    sql("""CREATE VIEW v WITH (streamx.continuous) AS
           SELECT part, count(*) AS n, max(ts) AS newest FROM now_events GROUP BY part""")
    session = Session()
    poll = "SELECT part, n, extract(epoch FROM newest) FROM v"
    wait_for(session, "the first event of each partition",
             lambda: sum(int(row[1]) for row in session.query(poll)) >= args.partitions, 60)

    measure = Measure(session)
    producer = subprocess.Popen([*produce, "--events", str(total), "--rate", str(rate)])
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
        check_views(session)
        if now > begun + args.duration + 60:
            fail("the view is more than a minute behind the producer")
        time.sleep(0.005)
    producer.wait()
    used = measure.stop()
    sql("DROP VIEW v; DROP FOREIGN TABLE now_events")
    session.close()
    samples.sort()
    return {
        "events": total,
        "rate": rate,
        # what the producer reached
        "events_per_s": round(total / used["seconds"]),
        **used,
        "latency_p50_ms": round(percentile(samples, 0.5) * 1000, 1),
        "latency_p99_ms": round(percentile(samples, 0.99) * 1000, 1),
        "latency_max_ms": round(samples[-1][0] * 1000, 1),
        "exact": sum(n for n, _ in seen.values()) == total + args.partitions,
    }
