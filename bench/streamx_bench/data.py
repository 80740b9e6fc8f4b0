"""Topics, files and tables of events, made when first asked for; the ceiling."""

import os
import subprocess

from .servers import BROKER, TMP, cpu_broker, program, program_path, sql

CAMPAIGNS = 100

COLUMNS = ["ts timestamptz{path}", "ad_id int", "page text", "user_id bigint", "event_type text",
           "amount double precision"]

NEXMARK_COLUMNS = """
  event_type int,
  p_id bigint OPTIONS (path 'person.id'), p_name text OPTIONS (path 'person.name'),
  p_email text OPTIONS (path 'person.emailAddress'), p_city text OPTIONS (path 'person.city'),
  p_state text OPTIONS (path 'person.state'),
  a_id bigint OPTIONS (path 'auction.id'), a_item_name text OPTIONS (path 'auction.itemName'),
  a_description text OPTIONS (path 'auction.description'), a_initial_bid bigint OPTIONS (path 'auction.initialBid'),
  a_reserve bigint OPTIONS (path 'auction.reserve'), a_expires timestamptz OPTIONS (path 'auction.expires'),
  a_seller bigint OPTIONS (path 'auction.seller'), a_category bigint OPTIONS (path 'auction.category'),
  b_auction bigint OPTIONS (path 'bid.auction'), b_bidder bigint OPTIONS (path 'bid.bidder'),
  b_price bigint OPTIONS (path 'bid.price'), b_channel text OPTIONS (path 'bid.channel'),
  b_url text OPTIONS (path 'bid.url'), b_extra text OPTIONS (path 'bid.extra'),
  ts timestamptz OPTIONS (metadata 'timestamp')"""


class Data:
    """What the workloads of a run share; args are those of the command line."""

    def __init__(self, args):
        self.args = args
        self.topics = {}
        self.tables = {}
        self.paces = {}         # (topic, mode): of this round
        for setting in args.set:
            sql("ALTER SYSTEM SET %s = '%s'" % tuple(setting.split("=", 1)), database="postgres")
        sql("SELECT pg_reload_conf(); CREATE DATABASE bench", database="postgres")
        sql("CREATE EXTENSION streamx;"
            "CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '%s');"
            % BROKER)
        # campaign of ad n is n modulo CAMPAIGNS, which the ceiling knows too
        sql("""CREATE TABLE ads (ad_id int PRIMARY KEY, campaign_id int NOT NULL);
               INSERT INTO ads SELECT n, n %% %d FROM generate_series(0, 999) n;
               ANALYZE ads""" % CAMPAIGNS)

    def say(self, text):
        if not self.args.json:
            print(text, flush=True)

    def topic(self, events, users=100_000, data=None):
        """A topic with so many events."""
        args = self.args
        data = data or args.format
        key = (events, users, data)
        if key not in self.topics:
            name = "%s_%d_%d" % (data, events, users)
            made = program("produce", "--brokers", BROKER, "--topic", name, "--events", events, "--users", users,
                           "--data", data, "--partitions", args.partitions, "--compression", args.compression,
                           "--disorder", args.disorder, "--keys", args.keys)
            self.say("produced {:,} events of {:.0f} bytes into {}: {:,.0f} a second".format(
                events, made["bytes"] / events, name, made["events_per_s"]))
            self.topics[key] = name
            # the first one to read it warms the broker up
            program("ceiling", "consume", "--brokers", BROKER, "--topic", name)
        return self.topics[key]

    def stream(self, name, topic, watermark=None, more=()):
        """A stream of ad events over the topic; replaces one of that name."""
        args = self.args
        if watermark is None:
            # later than anything comes: no window closes before its last event
            watermark = "%d milliseconds" % (args.disorder + 5000)
        options = "".join(", %s '%s'" % tuple(option.split("=", 1)) for option in (*args.stream_option, *more))
        if args.format == "csv":
            columns = ", ".join(COLUMNS).format(path="") + ", ip text"
        else:
            columns = ", ".join(COLUMNS).format(path=" OPTIONS (path 'event_time')")
        sql("""DROP FOREIGN TABLE IF EXISTS {name} CASCADE;
               CREATE FOREIGN TABLE {name} ({columns}, part int OPTIONS (metadata 'partition'))
               SERVER broker OPTIONS (topic '{topic}', format '{format}', event_time 'ts',
                                      watermark '{watermark}'{options})"""
            .format(name=name, columns=columns, topic=topic, format=args.format, watermark=watermark,
                    options=options))

    def nexmark_stream(self, name, topic):
        sql("""DROP FOREIGN TABLE IF EXISTS {name} CASCADE;
               CREATE FOREIGN TABLE {name} ({columns})
               SERVER broker OPTIONS (topic '{topic}', format 'json', watermark '4 s', idle_timeout '0')"""
            .format(name=name, columns=NEXMARK_COLUMNS, topic=topic))

    def csv_file(self, events, first=0, users=100_000):
        """Path of a file of events, one a line."""
        path = os.path.join(TMP, "events_%d_%d_%d.csv" % (first, events, users))
        if not os.path.exists(path):
            with open(path, "wb") as file:
                subprocess.run([program_path("produce"), "--stdout", "--data", "csv", "--quiet", "--first", str(first),
                                "--events", str(events), "--users", str(users),
                                "--disorder", str(self.args.disorder)], stdout=file, check=True)
        return path

    def table(self, events, users=100_000):
        """A table of the same events: what queries as a batch run over."""
        key = (events, users)
        if key not in self.tables:
            name = "facts_%d_%d" % key
            path = self.csv_file(events, users=users)
            sql("""CREATE TABLE {name} ({columns}, ip text);
                   COPY {name} FROM '{path}' (FORMAT csv);
                   ALTER TABLE {name} DROP ip;
                   VACUUM (FREEZE, ANALYZE) {name}"""
                .format(name=name, columns=", ".join(COLUMNS).format(path=""), path=path))
            os.unlink(path)
            self.tables[key] = name
        return self.tables[key]

    def new_round(self):
        """Ratios are of what ran close together: the ceiling's pace is measured anew."""
        self.paces = {}

    def ceiling(self, topic, mode, *args):
        """The ceiling's summary, with what the broker used meanwhile."""
        broker = cpu_broker()
        result = program("ceiling", mode, "--brokers", BROKER, "--topic", topic,
                         "--format", "csv" if topic.startswith("csv") else "json", *args)
        return {**result, "cpu_s_broker": round(cpu_broker() - broker, 2)}

    def pace(self, topic, mode):
        key = (topic, mode)
        if key not in self.paces:
            self.paces[key] = self.ceiling(topic, mode)
        return self.paces[key]

    def expected(self, topic, workload, window_us):
        """The ceiling's groups as the table x; its summary."""
        dump = os.path.join(TMP, "ceiling.dump")
        result = self.ceiling(topic, "aggregate", "--workload", workload, "--window", window_us,
                              "--campaigns", CAMPAIGNS, "--dump", dump)
        # the tab-separated dump is COPY's own text format
        sql("""DROP TABLE IF EXISTS x;
               CREATE TEMP TABLE raw (us bigint, num bigint, txt text, n bigint,
                                      sum_cents bigint, min_cents bigint, max_cents bigint);
               \\copy raw FROM '%s'
               CREATE TABLE x AS SELECT 'epoch'::timestamptz + us * interval '1 microsecond' AS w, * FROM raw;
               ANALYZE x""" % dump)
        os.unlink(dump)
        return result


def differences(left, right):
    """How many rows two queries do not have in common."""
    return int(sql("SELECT count(*) FROM (({0} EXCEPT ALL {1}) UNION ALL ({1} EXCEPT ALL {0})) d"
                   .format("(%s)" % left, "(%s)" % right)))
