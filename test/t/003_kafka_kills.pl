
# Exactly once, shown: workers and postmaster are killed with SIGKILL at random
# moments while a topic is produced and read; afterwards each view equals the
# batch query.
#
# STREAMX_TEST_EVENTS: how many events, default 1,000,000; with STREAMX_LONG
# 5,000,000.  STREAMX_TEST_SEED: the seed of the moments, as printed before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time usleep);

my $events = $ENV{STREAMX_TEST_EVENTS} || ($ENV{STREAMX_LONG} ? 5_000_000 : 1_000_000);
my $rounds = $ENV{STREAMX_LONG} ? 40 : 24;
my $seed = $ENV{STREAMX_TEST_SEED} // int(time * 1000) % 1_000_000_007;
my $partitions = 4;
my $timeout = 60 + $events / 10_000;

StreamxCluster->needs_program('kcat');
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'",
	'streamx.max_batch_rows = 30000', 'streamx.max_batch_size = 64kB', 'max_wal_size = 4GB', 'shared_buffers = 256MB');
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('events');

srand($seed);
diag("STREAMX_TEST_SEED=$seed STREAMX_TEST_EVENTS=$events");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

$kafka->create_topic('events', $partitions);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (ts timestamptz, page int, amount numeric, f double precision, n bigint,
  part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '20 seconds',
    idle_timeout '0');
CREATE TABLE campaigns (page int PRIMARY KEY, campaign text);
INSERT INTO campaigns SELECT i, 'campaign ' || i % 10 FROM generate_series(0, 149) AS i;
CREATE VIEW per_minute WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS sum_amount, avg(amount) AS avg_amount,
         sum(f) AS sum_f, stddev_samp(f) AS dev_f, min(n) AS min_n, max(n) AS max_n
  FROM events GROUP BY minute, page;
CREATE VIEW each_row WITH (streamx.continuous) AS SELECT part, pos, n, amount + 1 AS amount FROM events;
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(n) AS sum_n, max(n) AS max_n, avg(amount) AS avg_amount FROM events;
CREATE VIEW joined WITH (streamx.continuous) AS
  SELECT campaign, date_trunc('minute', ts) AS minute, count(*), sum(amount) AS sum_amount
  FROM events JOIN campaigns USING (page) WHERE f > 0 GROUP BY campaign, minute;
CREATE VIEW closed WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 seconds') AS start, page % 50 AS page, count(*), sum(amount) AS sum_amount FROM events GROUP BY start, 2;
CREATE VIEW differ WITH (streamx.continuous) AS
  SELECT page % 20 AS page, count(DISTINCT n % 1000) AS ns, sum(DISTINCT n % 100) AS sum_n FROM events GROUP BY 1;
CREATE VIEW held WITH (streamx.continuous) AS
  SELECT tumble(ts, '10 seconds') AS start, count(DISTINCT page) AS pages, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median
  FROM events WHERE page < 100 GROUP BY start;
SQL

# ---- the events: a file per round and partition, partly out of order

my @files;
my $i = 0;
foreach my $round (0 .. $rounds - 1)
{
	my @out;

	foreach my $p (0 .. $partitions - 1)
	{
		$files[$round][$p] = "$dir/$round.$p";
		open $out[$p], '>', $files[$round][$p] or die $!;
	}
	for (; $i < $events * ($round + 1) / $rounds; $i++)
	{
		my $s = int($i / 1000) - int(rand(20)) + 20;
		printf { $out[ $i * 7 % 11 % $partitions ] }
		  qq({"ts": "2026-03-01T%02d:%02d:%02dZ", "page": %d, "amount": %d.%02d, "f": %.4f, "n": %d}\n),
		  $s / 3600, $s / 60 % 60, $s % 60, rand(200), rand(1000), rand(100), rand(100) - 30, $i;
	}
	close $_ or die $! foreach @out;
}

# ---- kills, while they are produced and read

my @producers;
my $busy = 0;

foreach my $round (0 .. $rounds - 1)
{
	# each partition in its order, so that no row is late
	ok($_->finish, 'a producer was done') foreach splice @producers;
	foreach my $p (0 .. $partitions - 1)
	{
		push @producers,
		  IPC::Run::start(
			[ 'kcat', '-P', '-b', $bootstrap, '-t', 'events', '-p', $p, '-X', 'enable.idempotence=true',
				'-X', 'linger.ms=20', '-l', $files[$round][$p] ],
			'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	}

	# any moment: while it starts, reads, merges, commits, waits
	$node->worker('postgres');
	usleep(rand(rand() < 0.5 ? 200_000 : 1_000_000));
	$node->interrupt($round % 2 ? 'postmaster' : 'worker');
	ok($node->wait_until('SELECT count(*) = 1 FROM total'), "round $round: the server is back");
	my $in = sql('SELECT count FROM total');
	$busy++ if $in < $events * ($round + 1) / $rounds;
	note "$in events are in";
}
ok($_->finish, 'a producer was done') foreach @producers;
note 'workers killed: ' . $node->interruptions('worker') . ', postmasters: ' . $node->interruptions('postmaster');
cmp_ok($busy, '>', 0, "interrupted $rounds times, in the midst of reading $busy times");

# ---- what has become of it

$node->caught_up($_, $timeout) foreach qw(per_minute each_row total joined closed held);

sql('CREATE UNLOGGED TABLE produced_json (doc jsonb)');
foreach my $file (map { @$_ } @files)
{
	sql("COPY produced_json FROM '$file'");
	unlink $file;
}
sql(<<'SQL');
CREATE UNLOGGED TABLE produced AS
  SELECT (doc->>'ts')::timestamptz AS ts, (doc->>'page')::int AS page, (doc->>'amount')::numeric AS amount,
         (doc->>'f')::float8 AS f, (doc->>'n')::bigint AS n FROM produced_json;
DROP TABLE produced_json;
SQL
is(sql('SELECT count(*), count(DISTINCT n) FROM produced'), "$events|$events", 'what was produced');
is(sql('SELECT count FROM total'), $events, 'every event counts once');
is(sql('SELECT count(*), count(DISTINCT (part, pos)), count(DISTINCT n) FROM each_row'),
	"$events|$events|$events", 'no row is there twice');
is(sql('SELECT count(*) FROM (SELECT part FROM each_row GROUP BY part HAVING max(pos) - min(pos) + 1 <> count(*) OR min(pos) <> 0) AS gaps'),
	0, 'no offset is missing');
is(sql('SELECT count(*) FROM streamx.dead_letters'), 0, 'no dead letters');
is(sql('SELECT sum(rows_late) FROM streamx.views'), 0, 'no late rows');

my $watermark = sql(q(SELECT min(watermark) FROM streamx.progress WHERE view = 'closed'::regclass));
foreach my $source ('events', 'produced')
{
	my $what = $source eq 'events' ? 'the query over the stream' : 'a recount of what was produced';

	$node->same('SELECT minute, page, count, sum_amount, avg_amount, round(sum_f::numeric, 5), round(dev_f::numeric, 5), min_n, max_n FROM per_minute',
		"SELECT tumble(ts, '1 minute'), page, count(*), sum(amount), avg(amount), round(sum(f)::numeric, 5),
		        round(stddev_samp(f)::numeric, 5), min(n), max(n) FROM $source GROUP BY 1, 2",
		"windows: equal to $what");
	$node->same('SELECT n, amount FROM each_row', "SELECT n, amount + 1 FROM $source",
		"rows: equal to $what");
	$node->same('TABLE total', "SELECT count(*), sum(n), max(n), avg(amount) FROM $source",
		"totals: equal to $what");
	$node->same('SELECT campaign, minute, count, sum_amount FROM joined',
		"SELECT campaign, date_trunc('minute', ts), count(*), sum(amount)
		 FROM $source JOIN campaigns USING (page) WHERE f > 0 GROUP BY 1, 2",
		"a join: equal to $what");
	$node->same('SELECT * FROM closed',
		"SELECT tumble(ts, '10 seconds'), page % 50, count(*), sum(amount) FROM $source
		 GROUP BY 1, 2 HAVING tumble(ts, '10 seconds') + interval '10 seconds' <= '$watermark'",
		"final rows: equal to $what, as far as windows have closed");
	$node->same('TABLE differ', "SELECT page % 20, count(DISTINCT n % 1000), sum(DISTINCT n % 100) FROM $source GROUP BY 1",
		"different values: equal to $what");
	$node->same('SELECT * FROM held',
		"SELECT tumble(ts, '10 seconds'), count(DISTINCT page), percentile_disc(0.5) WITHIN GROUP (ORDER BY n)
		 FROM $source WHERE page < 100 GROUP BY 1",
		"aggregates that cannot be merged: equal to $what");
}
is(sql("SELECT string_agg(difference, E'\\n') FROM streamx.verify('$_')"), '', "streamx.verify says so too: $_")
  foreach qw(per_minute total joined differ);

$node->log_is_clean;
$node->stop;
done_testing();
