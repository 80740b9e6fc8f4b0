"""Medians of runs, and how they are printed."""

import json
import statistics
import sys


def median(runs):
    """Figure by figure; exact when every run was."""
    result = dict(runs[0])
    for key, value in runs[0].items():
        if isinstance(value, bool):
            result[key] = all(run[key] for run in runs)
        elif isinstance(value, (int, float)):
            middle = statistics.median(run[key] for run in runs)
            result[key] = round(middle) if isinstance(value, int) else round(middle, 3)
    result["runs"] = len(runs)
    return result


def megabytes(count):
    return "%.0f MB" % (count / 1e6)


def lines(result):
    r = result
    yield ("{workload:<22}{events_per_s:>10,} events/s   {seconds} s   exact: {exact}".format(**r)
           if "events_per_s" in r else "{workload:<22}{seconds} s   exact: {exact}".format(**r))
    per_million = "   %s CPU s per million" % r["cpu_s_per_million"] if "cpu_s_per_million" in r else ""
    rows = "   {rows:,} rows".format(**r) if "rows" in r else ""
    yield ("streamx: {cpu_s_postgres} CPU s (broker {cpu_s_broker}){0}   worker {rss_mb} MB, "
           "{rss_anonymous_mb} of its own   WAL {1}{2}"
           .format(per_million, megabytes(r["wal_bytes"]), rows, **r))
    if "ceiling" in r:
        lesser = "".join("   %s %s" % (mode, r["ratio_" + mode]) for mode in ("decode", "consume")
                         if "ratio_" + mode in r)
        yield ("ceiling ({ceiling}): {ceiling_events_per_s:,} events/s   {ceiling_cpu_s} CPU s "
               "(broker {ceiling_cpu_s_broker})   {ceiling_rss_mb} MB   ratio {ratio}   by CPU {ratio_cpu}{0}"
               .format(lesser, **r))
    elif "ratio_consume" in r:
        yield "ceiling (consume): ratio {ratio_consume}".format(**r)
    if "ratio_copy" in r:
        yield ("COPY into the same table: {copy_events_per_s:,} events/s   {copy_cpu_s} CPU s   WAL {0}   "
               "ratio {ratio_copy}".format(megabytes(r["copy_wal_bytes"]), **r))
    if "ratio_plain" in r:
        yield ("written after {written_seconds} s; into a plain table: {plain_events_per_s:,} events/s   "
               "{plain_cpu_s} CPU s   WAL {0}   ratio {ratio_plain}".format(megabytes(r["plain_wal_bytes"]), **r))
    if "times_one" in r:
        yield "one view: {one_seconds} s, {one_cpu_s} CPU s   five cost {times_one} times that, {times_one_cpu} in CPU".format(**r)
    if "scaling" in r:
        yield ("pinned to one processor: {one_processor_events_per_s:,} events/s   {processors} processors: "
               "{scaling} times that".format(**r))
    if "times_alone" in r:
        yield ("by the worker alone: {alone_events_per_s:,} events/s, {alone_cpu_s} CPU s   "
               "by fold processes {times_alone} times that".format(**r))
    if "latency_p50_ms" in r:
        yield "visible after p50 {latency_p50_ms} ms   p99 {latency_p99_ms} ms   max {latency_max_ms} ms".format(**r)
    if "streams" in r:
        yield ("{streams} idle streams: {cpu_percent} % of a processor more than none ({cpu_s_without} CPU s)   "
               "{threads} threads   {rss_anonymous_all_mb} MB   ready after {ready_seconds} s".format(**r))


def show(result, as_json):
    if as_json:
        print(json.dumps(result))
    else:
        print("\n    ".join(lines(result)))
    sys.stdout.flush()
