"""The command line of bench/run and bench/profile."""

import argparse
import sys

from . import catch_up, idle, latency, native, nexmark, report
from .data import Data
from .profile import Profiler
from .servers import Measure

EPILOG = """workloads:
  tumble        1-minute windows by page, 1,000 groups each: count, sum, avg, min, max
  join          filter, join with a table, count per campaign and 10 seconds
  groups        windows by user with --groups groups each: count, sum
  groups-final  the same with emit = 'final': rows are written as windows close
  hop12         tumble's aggregates in windows of a minute, one every 5 seconds: 12 panes
  hop12-final   the same with emit = 'final'
  hop           ... in windows of an hour, one every minute: 60 panes
  hop-final     the same with emit = 'final'
  transform     rows appended to a table, against COPY of the same rows from a file
  five          five views on one stream, against one of them
  many          --views views on one stream, over a tenth of the events
  two           two streams of half the events, pinned to one processor and on all
  apart         five's views by two fold processes (parallelism), pinned to one processor and on
                all, against the worker alone
  native-copy   COPY into a native stream from --sessions sessions, against a plain table
  native-insert INSERT of --rows-per-insert rows a transaction, a tenth of the events
  nexmark       each query of test/nexmark/ over --nexmark-events events; nexmark-q5: one of them
  latency       from producing to seeing an event in the table, at --rates events a second
  idle-native, idle-kafka  --streams streams on which nothing happens for --idle seconds

The ceiling is librdkafka, simdjson and a hash table in one thread, doing the
same work on the same topic without a database; "decode" only reads the
fields, "consume" only takes the messages.  Ratios are of events per second
within one run; "by CPU" of events per CPU second, PostgreSQL's processes to
the ceiling's.  A result that is not exact makes the exit status 1."""


def numbers(text):
    return [int(word.replace("_", "")) for word in text.split(",")]


def assignment(text):
    if "=" not in text:
        raise argparse.ArgumentTypeError("NAME=VALUE, not \"%s\"" % text)
    return text


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Benchmarks streamx on a broker and a server of its own.",
                                     epilog=EPILOG)
    parser.add_argument("workload", nargs="*", help="default: all but those of minutes")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=1, help="the median of so many")
    parser.add_argument("--format", default="json", choices=["json", "csv"])
    parser.add_argument("--compression", default="lz4", choices=["none", "lz4", "zstd", "gzip", "snappy"])
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--disorder", type=int, default=0, metavar="MS")
    parser.add_argument("--keys", default="none", choices=["none", "page", "user"])
    parser.add_argument("--groups", type=numbers, default=[100_000], metavar="N,...")
    parser.add_argument("--views", type=numbers, default=[300], metavar="N,...")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=30, metavar="SECONDS")
    parser.add_argument("--sessions", type=numbers, default=[1, 4], metavar="N,...")
    parser.add_argument("--rows-per-insert", type=int, default=100)
    parser.add_argument("--nexmark-events", type=int, default=1_000_000)
    parser.add_argument("--rates", type=numbers, default=[1000, 10_000, 100_000], metavar="N,...",
                        help="of latency, events per second")
    parser.add_argument("--duration", type=int, default=30, help="of latency, seconds")
    parser.add_argument("--set", type=assignment, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the server")
    parser.add_argument("--stream-option", type=assignment, action="append", default=[], metavar="NAME=VALUE",
                        help="an option of the streams over topics")
    parser.add_argument("--view-option", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds that a view may take to catch up")
    parser.add_argument("--json", action="store_true", help="one JSON object a workload, one a line")
    parser.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    return parser, parser.parse_args()


def cases(args):
    """Every workload that there is: name -> [(label, what runs it once)]."""
    def each(label, function, values, *rest):
        return [("%s %s" % (label, "{:,}".format(value)), lambda data, v=value: function(data, v, *rest))
                for value in values]

    table = {
        "tumble": [("tumble", catch_up.tumble)],
        "join": [("join", catch_up.join)],
        "groups": each("groups", catch_up.groups, args.groups),
        "groups-final": each("groups-final", catch_up.groups, args.groups, True),
        "hop12": [("hop12", lambda data: catch_up.hop(data, "5 seconds", "1 minute", 5 * catch_up.SECOND))],
        "hop12-final": [("hop12-final",
                         lambda data: catch_up.hop(data, "5 seconds", "1 minute", 5 * catch_up.SECOND, True))],
        "hop": [("hop", lambda data: catch_up.hop(data, "1 minute", "1 hour", catch_up.MINUTE))],
        "hop-final": [("hop-final", lambda data: catch_up.hop(data, "1 minute", "1 hour", catch_up.MINUTE, True))],
        "transform": [("transform", catch_up.transform)],
        "five": [("five", catch_up.five)],
        "many": each("many", catch_up.many, args.views),
        "two": [("two", catch_up.two_streams)],
        "apart": [("apart", catch_up.apart)],
        "native-copy": [("native-copy %d" % n, lambda data, n=n: native.native(data, "copy", n))
                        for n in args.sessions],
        "native-insert": [("native-insert %d" % n, lambda data, n=n: native.native(data, "insert", n))
                          for n in args.sessions],
        "nexmark": [],
        "latency": each("latency", latency.latency, args.rates),
        "idle-native": [("idle-native", lambda data: idle.idle(data, "native", args.streams))],
        "idle-kafka": [("idle-kafka", lambda data: idle.idle(data, "kafka", args.streams))],
    }
    for name in nexmark.queries():
        case = ("nexmark-" + name, lambda data, name=name: nexmark.query(data, name))
        table["nexmark-" + name] = [case]
        table["nexmark"].append(case)
    return table


# those that are not asked for by name take their minutes
DEFAULT = ["tumble", "join", "groups", "groups-final", "hop12", "hop", "hop-final", "transform", "five", "latency"]


def main():
    parser, args = parse()
    table = cases(args)
    for name in args.workload:
        if name not in table:
            parser.error("no such workload: " + name)
    data = Data(args)
    exact = True
    for name in args.workload or DEFAULT:
        for label, run in table[name]:
            Measure.make_profiler = Profiler if args.profile else None
            Measure.profile = ""
            runs = []
            for _ in range(args.runs):
                data.new_round()
                runs.append({"workload": label, **run(data)})
            result = report.median(runs)
            report.show(result, args.json)
            if args.profile:
                print("\n" + Measure.profile, flush=True)
            exact = exact and result["exact"]
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
