"""INSERT and COPY into a native stream, from several sessions at once.

Measured is the time until a view shows all rows.  Beside it stands the same
statements' time into a plain table; the view has to equal its query over that.
"""

import csv
import os

from .catch_up import FIVE, create, drop
from .data import COLUMNS, differences
from .servers import TMP, Measure, Session, fail, sql, start_sql

NAMES = "(ts, ad_id, page, user_id, event_type, amount, ip)"


def copy_script(path, source, target):
    with open(path, "w") as file:
        file.write("COPY %s FROM '%s' (FORMAT csv);\n" % (target, source))


def insert_script(path, source, target, rows):
    """One transaction a statement."""
    def statement(batch):
        values = ",".join("('%s',%s,'%s',%s,'%s',%s,'%s')" % tuple(row) for row in batch)
        return "INSERT INTO %s %s VALUES %s;\n" % (target, NAMES, values)

    with open(source, newline="") as events, open(path, "w") as file:
        batch = []
        for row in csv.reader(events):
            batch.append(row)
            if len(batch) == rows:
                file.write(statement(batch))
                batch = []
        if batch:
            file.write(statement(batch))


def run_scripts(paths):
    sessions = [start_sql(path) for path in paths]
    if any([session.wait() for session in sessions]):
        fail("a session that writes rows has failed")


def native(data, how, sessions):
    args = data.args
    # statements of few rows take their time
    events = args.events if how == "copy" else max(args.events // 10, 1)
    share = events // sessions
    sources = [data.csv_file(share + (events % sessions if i == 0 else 0),
                             first=i * share + (events % sessions if i > 0 else 0)) for i in range(sessions)]
    columns = ", ".join(COLUMNS).format(path="") + ", ip text"
    sql("""CREATE TABLE plain (%s);
           CREATE FOREIGN TABLE native_events (%s) SERVER streamx OPTIONS (event_time 'ts', watermark '1 day')"""
        % (columns, columns))
    scripts = {}
    for target in ("plain", "native_events"):
        scripts[target] = [os.path.join(TMP, "%s_%d.sql" % (target, i)) for i in range(sessions)]
        for path, source in zip(scripts[target], sources):
            if how == "copy":
                copy_script(path, source, target)
            else:
                insert_script(path, source, target, args.rows_per_insert)
    views = [("v", FIVE[0].format(stream="native_events"))]
    sql(create(data, views))
    session = Session()

    measure = Measure(session)
    run_scripts(scripts["native_events"])
    written = measure.elapsed()
    if session.query("SELECT streamx.wait('v', '%d s')" % args.timeout) != [["t"]]:
        fail("the view does not show all rows")
    used = measure.stop()

    measure = Measure(session, False)
    run_scripts(scripts["plain"])
    plain = measure.stop()
    session.close()
    for path in [*sources, *scripts["plain"], *scripts["native_events"]]:
        os.unlink(path)
    wrong = differences("TABLE v", FIVE[0].format(stream="plain"))
    rows = int(sql("SELECT count(*) FROM v"))
    counted = int(sql("SELECT sum(n) FROM v"))
    drop(views)
    sql("DROP FOREIGN TABLE native_events; DROP TABLE plain")
    return {
        "events": events,
        "sessions": sessions,
        "events_per_s": round(events / used["seconds"]),
        **used,
        "cpu_s_per_million": round(used["cpu_s_postgres"] * 1e6 / events, 3),
        "rows": rows,
        "written_seconds": round(written, 3),
        "plain_events_per_s": round(events / plain["seconds"]),
        "plain_cpu_s": plain["cpu_s_postgres"],
        "plain_wal_bytes": plain["wal_bytes"],
        "ratio_plain": round(plain["seconds"] / used["seconds"], 3),
        "exact": wrong == 0 and counted == events,
    }
