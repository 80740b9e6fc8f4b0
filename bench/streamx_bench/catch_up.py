"""Views over a topic that is there already.

Measured is the time from CREATE until streamx.progress says that the views
have read all of it.  The ceiling (bench/ceiling: librdkafka, simdjson, a hash
table, no database) reads the same topic right afterwards; its groups, or the
same query over a table of the same rows, are what the views have to equal.
"""

import os

from .data import differences
from .servers import TMP, Measure, Session, fail, pin, sql, wait_for

# size of the ceiling's windows
SECOND = 1_000_000
MINUTE = 60 * SECOND

TUMBLE = """SELECT tumble(ts, '1 minute') AS w, page, count(*) AS n, sum(amount) AS total,
                   avg(amount) AS average, min(amount) AS least, max(amount) AS greatest
            FROM {stream} GROUP BY w, page"""
# whether row v of the view differs from the ceiling's group x
TUMBLE_DIFFERS = """v.n <> x.n OR abs(v.total - x.sum_cents / 100.0) > 1e-9 * x.sum_cents
    OR abs(v.average - x.sum_cents / 100.0 / x.n) > 1e-9 * x.sum_cents
    OR v.least <> (x.min_cents / 100.0)::float8 OR v.greatest <> (x.max_cents / 100.0)::float8"""
JOIN = """SELECT tumble(e.ts, '10 seconds') AS w, a.campaign_id, count(*) AS n
          FROM {stream} e JOIN ads a ON a.ad_id = e.ad_id
          WHERE e.event_type = 'view' GROUP BY w, a.campaign_id"""
GROUPS = """SELECT tumble(ts, '{window}') AS w, user_id, count(*) AS n, sum(amount) AS total
            FROM {stream} GROUP BY w, user_id"""
GROUPS_DIFFERS = "v.n <> x.n OR abs(v.total - x.sum_cents / 100.0) > 1e-9 * x.sum_cents"
TRANSFORM = "SELECT ts, ad_id, page, user_id, event_type, amount FROM {stream}"

# of the same kind and size, all to be computed without rounding
FIVE = [
    """SELECT tumble(ts, '1 minute') AS w, page, count(*) AS n, sum(ad_id) AS total,
              min(amount) AS least, max(amount) AS greatest FROM {stream} GROUP BY w, page""",
    """SELECT tumble(ts, '1 minute') AS w, ad_id, count(*) AS n, min(user_id) AS least,
              max(user_id) AS greatest FROM {stream} GROUP BY w, ad_id""",
    """SELECT tumble(ts, '10 seconds') AS w, event_type, count(*) AS n, sum(ad_id) AS total
       FROM {stream} GROUP BY w, event_type""",
    JOIN,
    """SELECT tumble(ts, '1 minute') AS w, user_id % 1000 AS bucket, count(*) AS n, max(amount) AS greatest
       FROM {stream} GROUP BY w, bucket""",
]


def create(data, views, emit="update"):
    """One transaction: all of them begin together."""
    options = "".join(", streamx.%s = '%s'" % tuple(option.split("=", 1)) for option in data.args.view_option)
    return "BEGIN;" + "".join(
        "CREATE VIEW %s WITH (streamx.continuous, streamx.emit = '%s'%s) AS %s;" % (name, emit, options, query)
        for name, query in views) + "COMMIT"


def drop(views):
    sql("".join("DROP VIEW %s;" % name for name, _ in views))


def catch_up(data, views, events, emit="update", profiled=True):
    """Creates the views, (name, query), and measures until each has read all events."""
    session = Session()
    pause = 0.02 if len(views) < 20 else 0.2
    measure = Measure(session, profiled)
    sql(create(data, views, emit))
    behind = """SELECT %d - count(*) FROM (SELECT view FROM streamx.progress GROUP BY view
                                           HAVING sum(next_offset) >= %d) p""" % (len(views), events)
    wait_for(session, "all of the topic in the views", lambda: int(session.query(behind)[0][0]) <= 0,
             data.args.timeout, pause)
    used = measure.stop()
    session.close()
    rejected = int(sql("SELECT count(*) FROM streamx.dead_letters"))
    if rejected:
        fail("%d events have become dead letters" % rejected)
    return {
        "events": events,
        "events_per_s": round(events / used["seconds"]),
        **used,
        "cpu_s_per_million": round(used["cpu_s_postgres"] * 1e6 / events, 3),
        "rows": sum(int(sql("SELECT count(*) FROM " + name)) for name, _ in views),
    }


def beside(data, topic, result, mode, summary=None):
    """The ceiling's figures beside the result's."""
    summary = summary or data.pace(topic, mode)
    rate = result["events_per_s"]
    out = {
        "ceiling": mode,
        "ceiling_events_per_s": round(summary["events_per_s"]),
        "ceiling_cpu_s": summary["cpu_s"],
        "ceiling_cpu_s_broker": summary["cpu_s_broker"],
        "ceiling_rss_mb": summary["rss_mb"],
        "ratio": round(rate / summary["events_per_s"], 3),
        # events per CPU second of PostgreSQL to those of the ceiling
        "ratio_cpu": round(summary["cpu_s"] / max(result["cpu_s_postgres"], 0.01), 3),
    }
    for lesser in ("decode", "consume"):
        if lesser != mode:
            out["ratio_" + lesser] = round(rate / data.pace(topic, lesser)["events_per_s"], 3)
    return out


def grouped(data, query, same_group, differs, ceiling, window_us, users=100_000, final=None, panes=None):
    """A view that the ceiling can be compared with.

    final: size of its windows, if they are written as they close.  panes: size
    and slide of windows that the ceiling's are panes of.
    """
    events = data.args.events
    topic = data.topic(events, users)
    data.stream("events", topic)
    views = [("v", query.format(stream="events"))]
    result = catch_up(data, views, events, "final" if final else "update")
    summary = data.expected(topic, ceiling, window_us)
    counted = int(sql("SELECT sum(n) FROM x"))
    if panes:
        sql("""CREATE TABLE hops AS
               SELECT h AS w, num, txt, sum(n) AS n, sum(sum_cents) AS sum_cents,
                      min(min_cents) AS min_cents, max(max_cents) AS max_cents
               FROM x, hop(w, '%s', '%s') AS h GROUP BY h, num, txt;
               DROP TABLE x; ALTER TABLE hops RENAME TO x; ANALYZE x""" % panes)
    expected = "x"
    if final:
        # it has the windows that have closed
        expected = ("(SELECT * FROM x WHERE w + interval '%s' <="
                    " (SELECT watermark FROM streamx.views WHERE view = 'v'::regclass)) x" % final)
    wrong = int(sql("SELECT count(*) FROM v FULL JOIN %s ON %s WHERE v.w IS NULL OR x.w IS NULL OR %s"
                    % (expected, same_group, differs)))
    drop(views)
    return {
        **result,
        **beside(data, topic, result, "aggregate", summary),
        # join counts views only, so the groups hold fewer events than the topic
        "exact": wrong == 0 and summary["events"] == events and (ceiling == "join" or counted == events),
    }


def tumble(data):
    return grouped(data, TUMBLE, "v.w = x.w AND v.page = x.txt", TUMBLE_DIFFERS, "tumble", MINUTE)


def hop(data, slide, size, slide_us, final=False):
    query = TUMBLE.replace("tumble(ts, '1 minute')", "hop(ts, '%s', '%s')" % (slide, size))
    return grouped(data, query, "v.w = x.w AND v.page = x.txt", TUMBLE_DIFFERS, "tumble", slide_us,
                   final=size if final else None, panes=(slide, size))


def join(data):
    return grouped(data, JOIN, "v.w = x.w AND v.campaign_id = x.num", "v.n <> x.n", "join", 10 * SECOND)


def groups(data, count, final=False):
    # a minute holds 600,000 events
    window, minutes = ("1 minute", 1) if count <= 100_000 else ("10 minutes", 10)
    query = GROUPS.replace("{window}", window)
    return grouped(data, query, "v.w = x.w AND v.user_id = x.num", GROUPS_DIFFERS, "groups", minutes * MINUTE,
                   users=count, final=window if final else None)


def copy_rows(path):
    """COPY of the file into the empty table "copied", which is full then."""
    # what was written before is not to be paid for now
    sql("TRUNCATE copied; CHECKPOINT")
    session = Session()
    measure = Measure(session, False)
    sql("COPY copied FROM '%s'" % path)
    copied = measure.stop()
    session.close()
    return copied


def transform(data):
    """Rows appended, against COPY of the same rows from a file into the same table.

    COPY has two tries, of which the faster counts.
    """
    events = data.args.events
    topic = data.topic(events)
    facts = data.table(events)
    data.stream("events", topic)
    views = [("v", TRANSFORM.format(stream="events"))]
    sql("CHECKPOINT")
    result = catch_up(data, views, events)

    path = os.path.join(TMP, "rows.txt")
    # nobody is to look after these tables while COPY runs
    sql("""ALTER TABLE v SET (autovacuum_enabled = off);
           CREATE TABLE copied (LIKE v INCLUDING ALL) WITH (autovacuum_enabled = off);
           COPY (SELECT * FROM %s) TO '%s'""" % (facts, path))
    copied = min((copy_rows(path) for _ in range(2)), key=lambda used: used["seconds"])
    os.unlink(path)
    digest = "SELECT count(*), sum(hash_record_extended(r, 0)::numeric) FROM %s r"
    same = sql(digest % "v") == sql(digest % "copied")
    drop(views)
    sql("DROP TABLE copied")
    return {
        **result,
        **beside(data, topic, result, "decode"),
        "copy_events_per_s": round(events / copied["seconds"]),
        "copy_cpu_s": copied["cpu_s_postgres"],
        "copy_wal_bytes": copied["wal_bytes"],
        "ratio_copy": round(copied["seconds"] / result["seconds"], 3),
        "exact": same and result["rows"] == events,
    }


def five(data):
    """Five views on one stream, against one of them."""
    events = data.args.events
    topic = data.topic(events)
    facts = data.table(events)
    data.stream("events", topic)
    views = [("v%d" % i, query.format(stream="events")) for i, query in enumerate(FIVE)]
    one = catch_up(data, views[:1], events, profiled=False)
    drop(views[:1])
    result = catch_up(data, views, events)
    wrong = sum(differences("TABLE " + name, query.format(stream=facts))
                for (name, _), query in zip(views, FIVE))
    drop(views)
    return {
        **result,
        **beside(data, topic, result, "aggregate", data.ceiling(topic, "aggregate")),
        "one_seconds": one["seconds"],
        "one_cpu_s": one["cpu_s_postgres"],
        "times_one": round(result["seconds"] / one["seconds"], 2),
        "times_one_cpu": round(result["cpu_s_postgres"] / max(one["cpu_s_postgres"], 0.01), 2),
        "exact": wrong == 0,
    }


def many(data, count):
    """Many views on one stream, each of some of its rows."""
    events = max(data.args.events // 10, 1)
    topic = data.topic(events)
    facts = data.table(events)
    data.stream("events", topic)
    query = """SELECT tumble(ts, '1 minute') AS w, count(*) AS n, sum(ad_id) AS total, max(amount) AS greatest
               FROM {from} WHERE user_id % {count} = {i} GROUP BY w"""
    views = [("v%d" % i, query.replace("{count}", str(count)).replace("{i}", str(i)).replace("{from}", "events"))
             for i in range(count)]
    result = catch_up(data, views, events)
    wrong = differences(" UNION ALL ".join("SELECT %d, * FROM v%d" % (i, i) for i in range(count)),
                        """SELECT (user_id %% %d)::int, tumble(ts, '1 minute') AS w, count(*), sum(ad_id), max(amount)
                           FROM %s GROUP BY 1, 2""" % (count, facts))
    drop(views)
    return {**result, "views": count, **beside(data, topic, result, "decode"), "exact": wrong == 0}


def apart(data):
    """Five views on one stream: by the worker alone, by fold processes on one
    processor, by these on all."""
    events = data.args.events
    topic = data.topic(events)
    facts = data.table(events)
    everywhere = os.sched_getaffinity(0)
    views = [("v%d" % i, query.format(stream="events")) for i, query in enumerate(FIVE)]
    outcomes = []
    exact = True
    for processes, cpus in ((1, everywhere), (2, {min(everywhere)}), (2, everywhere)):
        pin(cpus)
        data.stream("events", topic, more=["parallelism=%d" % processes])
        outcomes.append(catch_up(data, views, events))
        exact = exact and all(
            differences("TABLE v%d" % i, query.format(stream=facts)) == 0 for i, query in enumerate(FIVE))
        drop(views)
    pin(everywhere)
    alone, one, result = outcomes
    return {
        **result,
        "processors": len(everywhere),
        "one_processor_events_per_s": one["events_per_s"],
        "scaling": round(one["seconds"] / result["seconds"], 2),
        "alone_events_per_s": alone["events_per_s"],
        "alone_cpu_s": alone["cpu_s_postgres"],
        "times_alone": round(alone["seconds"] / result["seconds"], 2),
        "exact": exact,
    }


def two_streams(data):
    """Two streams, each half of the events and a worker of its own: on one
    processor, then on all."""
    events = max(data.args.events // 2, 1)
    topic = data.topic(events)
    facts = data.table(events)
    everywhere = os.sched_getaffinity(0)
    outcomes = []
    exact = True
    for cpus in ({min(everywhere)}, everywhere):
        pin(cpus)
        for i in range(2):
            data.stream("events%d" % i, topic)
        views = [("v%d" % i, FIVE[0].format(stream="events%d" % i)) for i in range(2)]
        outcomes.append(catch_up(data, views, events))
        exact = exact and all(differences("TABLE " + name, FIVE[0].format(stream=facts)) == 0 for name, _ in views)
        drop(views)
        sql("DROP FOREIGN TABLE events0, events1")
    pin(everywhere)
    result = outcomes[1]
    # catch_up counts each event once, here two streams have them
    for outcome in outcomes:
        outcome["events"] *= 2
        outcome["events_per_s"] *= 2
        outcome["cpu_s_per_million"] = round(outcome["cpu_s_per_million"] / 2, 3)
    return {
        **result,
        "processors": len(everywhere),
        "one_processor_events_per_s": outcomes[0]["events_per_s"],
        "scaling": round(outcomes[0]["seconds"] / result["seconds"], 2),
        "exact": exact,
    }
