"""The queries of the Nexmark suite (test/nexmark/), each by itself over a topic
that is there already; its table has to equal the query over a table of the
same rows."""

import os
import re

from .data import differences
from .servers import Measure, Session, fail, sql, wait_for

DIRECTORY = os.path.join(os.environ.get("BENCH_BIN", "bench"), "..", "test", "nexmark")


def read(name):
    with open(os.path.join(DIRECTORY, name)) as file:
        return file.read()


def queries():
    names = [match.group(1) for match in (re.fullmatch(r"(q\d+)\.sql", name) for name in os.listdir(DIRECTORY))
             if match]
    return sorted(names, key=lambda name: int(name[1:]))


def schema(data):
    """The streams over the topic in public, over a table of its rows in batch."""
    topic = data.topic(data.args.nexmark_events, data="nexmark")
    if "nexmark" in data.tables:
        return topic
    data.nexmark_stream("nexmark_events", topic)
    sql("""CREATE TABLE side_input (key bigint PRIMARY KEY, value text);
           INSERT INTO side_input SELECT i, 'value ' || i FROM generate_series(0, 99) i;
           CREATE SCHEMA batch;
           CREATE TABLE batch.events AS SELECT * FROM nexmark_events;
           ANALYZE batch.events, side_input""")
    for path, source in (("public", "nexmark_events"), ("batch", "batch.events")):
        sql("SET search_path = %s, public;\n%s" % (path, read("schema.sql")), variables=["source=" + source])
    data.tables["nexmark"] = "batch.events"
    return topic


def query(data, name):
    events = data.args.nexmark_events
    topic = schema(data)
    text = read(name + ".sql")
    try:
        views = read(name + "_views.sql")
    except FileNotFoundError:
        views = "CREATE VIEW %s WITH (streamx.continuous) AS %s" % (name, text)
    created = re.findall(r"CREATE VIEW (\w+)", views)

    session = Session()
    measure = Measure(session)
    sql("SET timezone = 'UTC'; BEGIN; %s; COMMIT" % views.rstrip().rstrip(";"))
    # of views over views the first one reads the topic
    first = created[0]
    wait_for(session, "all of the topic in " + name,
             lambda: int(session.query("SELECT coalesce(sum(next_offset), 0) FROM streamx.progress"
                                       " WHERE view = '%s'::regclass" % first)[0][0]) >= events,
             data.args.timeout)
    if session.query("SELECT streamx.wait('%s', '1 min')" % name) != [["t"]]:
        fail("%s does not come to its end" % name)
    used = measure.stop()
    session.close()
    if int(sql("SELECT count(*) FROM batch.events")) != events:
        fail("the table does not have all events")
    sql("SET search_path = batch, public; SET timezone = 'UTC'; CREATE TABLE public.x AS " + text)
    wrong = differences("TABLE " + name, "TABLE x")
    rows = int(sql("SELECT count(*) FROM x"))
    sql("".join("DROP VIEW %s;" % view for view in reversed(created)) + "DROP TABLE x")
    consumer = data.pace(topic, "consume")
    rate = events / used["seconds"]
    return {
        "events": events,
        "events_per_s": round(rate),
        **used,
        "cpu_s_per_million": round(used["cpu_s_postgres"] * 1e6 / events, 3),
        "rows": rows,
        "ratio_consume": round(rate / consumer["events_per_s"], 3),
        "exact": wrong == 0 and rows > 0,
    }
