
# Memory and disk stay flat: events at a steady rate, and all the while workers
# and postmasters are killed, seldom first and then often.  What a worker has of
# its own in memory, and what results with retention and state tables take of the
# disk, is looked at all along; at the end each view equals what was produced.
#
# STREAMX_TEST_SECONDS: how long, default 30; with STREAMX_LONG an hour.
# STREAMX_TEST_RATE: events per second, default 20,000; with STREAMX_LONG 100,000.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run ();
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time sleep);

my $long = $ENV{STREAMX_LONG};
my $seconds = $ENV{STREAMX_TEST_SECONDS} || ($long ? 3600 : 30);
my $rate = $ENV{STREAMX_TEST_RATE} || ($long ? 100_000 : 20_000);
my $events = $seconds * $rate;

# A second of the test is a minute of event time, in an hour six seconds: 10
# windows are retained.
my $step = int(($long ? 6_000_000 : 60_000_000) / $rate);

# The first 0.4 of the time sees one kill, of the postmaster, the rest one
# each minute (or each sixth of it), of the worker and the postmaster in turn.
my $calm = 0.4 * $seconds;
my $often = max(5, $long ? 60 : $seconds / 6);

# Allowed: what a worker has of its own, and that (in an hour) grows by no more than
# a tenth and 24 MB after the first third: how far it falls behind after a kill,
# and so what waits in its queues, is up to the machine.  Tables with retention are
# no larger than so many times what they would be newly written, and some room for
# what the vacuum has not seen yet; they and the tables of state no larger than
# twice what they were in the first third, and the room that windows take which have
# outgrown streamx.state_memory: in the short form, on a slow machine, all that there are.
my $memory_kb = 450_000;
my $bloat = 4;
my $bloat_room = 8 << 20;
my $state_room = ($long ? 64 : 256) << 20;

my $dir = PostgreSQL::Test::Utils::tempdir('soak');
my $bench = abs_path("$FindBin::RealBin/../../bench");
my $produce = "$dir/produce";
system_or_bail($ENV{CC} || 'cc', '-O2', '-o', $produce, "$bench/produce.c", '-lrdkafka', '-lm');

my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'max_wal_size = 2GB', 'shared_buffers = 256MB',
	'autovacuum_naptime = 1s', 'streamx.workers = 1', 'streamx.state_memory = 64MB');
my $bootstrap = $kafka->bootstrap;
my @made = ('--seed', 7, '--pages', 500, '--users', 20_000, '--step', $step, '--partitions', 4, '--disorder', 2000);

diag("STREAMX_TEST_SECONDS=$seconds STREAMX_TEST_RATE=$rate");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# the broker forgets what is far behind
$kafka->create_topic('events', 4, 'retention.bytes' => 1000000000, 'segment.bytes' => 100000000);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (event_time timestamptz, ad_id int, page text, user_id int, event_type text, amount numeric)
  SERVER broker OPTIONS (topic 'events', event_time 'event_time', watermark '3 seconds', idle_timeout '0');
CREATE VIEW total WITH (streamx.continuous) AS
  SELECT event_type, count(*), sum(amount) AS sum_amount, max(user_id) AS max_user FROM events GROUP BY event_type;
CREATE VIEW pages WITH (streamx.continuous, streamx.retention = '10 minutes') AS
  SELECT tumble(event_time, '1 minute') AS minute, page, count(*), sum(amount) AS sum_amount, avg(amount) AS avg_amount
  FROM events GROUP BY minute, page;
CREATE VIEW users WITH (streamx.continuous, streamx.emit = 'final', streamx.retention = '10 minutes') AS
  SELECT tumble(event_time, '1 minute') AS minute, user_id, count(*), sum(amount) AS sum_amount FROM events GROUP BY minute, user_id;
CREATE VIEW sliding WITH (streamx.continuous, streamx.retention = '10 minutes') AS
  SELECT hop(event_time, '1 minute', '5 minutes') AS start, event_type, count(*), count(DISTINCT ad_id) AS ads
  FROM events GROUP BY start, event_type;
CREATE VIEW minutes WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(event_time, '1 minute') AS minute, count(*), sum(amount) AS sum_amount, count(DISTINCT user_id) AS users
  FROM events GROUP BY minute;
SQL

# ---- what is looked at

my @retained = qw(pages users sliding);
my %peak_memory = (first => 0, later => 0);
my %peak_size;

sub look
{
	my ($phase) = @_;
	my ($pid) = $node->pids('streamx worker', 'postgres');

	if (defined $pid)
	{
		# it may be gone
		my $kb = eval { $node->rss_kb($pid) };
		$peak_memory{$phase} = max($peak_memory{$phase}, $kb) if defined $kb;
	}
	my $sizes = $node->rows(<<'SQL') // return;
SELECT c.oid::regclass || ' ' || pg_total_relation_size(c.oid)
FROM pg_class AS c
WHERE c.relkind = 'r' AND (c.relnamespace = 'streamx_state'::regnamespace
  OR c.oid IN ('pages'::regclass, 'users'::regclass, 'sliding'::regclass))
SQL
	foreach (split /\n/, $sizes)
	{
		my ($table, $size) = split / /;

		$peak_size{$table}{$phase} = max($peak_size{$table}{$phase} // 0, $size);
	}
	return;
}

# ---- events and kills

my $producer = IPC::Run::start(
	[ $produce, '--brokers', $bootstrap, '--topic', 'events', '--events', $events, '--rate', $rate, @made ],
	'<', '/dev/null', '>', "$dir/produce.out", '2>', "$dir/produce.err");
my $start = time;
my $next_kill = $calm / 2;

while (time - $start < $seconds)
{
	my $now = time - $start;

	if ($now >= $next_kill)
	{
		$node->interrupt($node->interruptions % 2 ? 'worker' : 'postmaster');
		$next_kill = max($calm, $next_kill + $often);
	}
	look($now < $seconds / 3 ? 'first' : 'later');
	sleep($long ? 2 : 0.5);
}
ok($producer->finish, 'the producer was done');
note slurp_file("$dir/produce.out");
cmp_ok($node->interruptions, '>=', 4, 'killed while it went');
$node->caught_up($_, 60 + $seconds / 10) foreach qw(total pages users sliding minutes);
look('later');

# ---- memory and disk

note "memory of workers: at most $peak_memory{first} kB in the first third, $peak_memory{later} kB later";
cmp_ok($peak_memory{later}, '<', $memory_kb, 'the worker is not large');
cmp_ok($peak_memory{later}, '<', $peak_memory{first} * 1.1 + 24_000, 'and does not grow') if $long;

# later, as autovacuum runs in its time
foreach my $table (sort keys %peak_size)
{
	my $size = $peak_size{$table}{later} // next;

	sql("VACUUM FULL $table");
	my $least = sql("SELECT pg_total_relation_size('$table')");

	note "$table: at most $size bytes, newly written $least";
	cmp_ok($size, '<', $bloat * $least + $bloat_room, "$table is not bloated") if grep { $_ eq $table } @retained;
	# a state table may be all but empty, when windows have closed
	cmp_ok($size, '<', 2 * ($peak_size{$table}{first} // 0) + $state_room, "$table is no larger than at first");
}

# ---- all of them, once

sql(<<'SQL');
CREATE UNLOGGED TABLE part (event_time timestamptz, ad_id int, page text, user_id int, event_type text, amount numeric, ip text);
CREATE UNLOGGED TABLE user_minutes (minute timestamptz, event_type text, user_id int, count bigint, sum_amount numeric, max_user int);
CREATE UNLOGGED TABLE page_minutes (minute timestamptz, event_type text, ad_id int, page text, count bigint, sum_amount numeric);
SQL
my $parcel = 4_000_000;
for (my $first = 0; $first < $events; $first += $parcel)
{
	my $n = $events - $first < $parcel ? $events - $first : $parcel;

	sql(<<"SQL");
COPY part FROM PROGRAM '$produce --stdout --data csv --quiet --first $first --events $n @made' (FORMAT csv);
INSERT INTO user_minutes SELECT date_bin('1 minute', event_time, '2000-01-01Z'), '', user_id, count(*), sum(amount), max(user_id) FROM part GROUP BY 1, 3;
INSERT INTO page_minutes SELECT date_bin('1 minute', event_time, '2000-01-01Z'), event_type, ad_id, page, count(*), sum(amount) FROM part GROUP BY 1, 2, 3, 4;
TRUNCATE part;
SQL
}
sql('ANALYZE user_minutes, page_minutes');
my $watermark = sql(q(SELECT min(watermark) FROM streamx.progress WHERE view = 'users'::regclass));
my $kept = sql(q(SELECT min(minute) FROM pages));
note "watermark $watermark, the oldest window that is kept is $kept";

is(sql('SELECT sum(count) FROM total'), $events, 'every event counts once');
is(sql('SELECT sum(rows_late), sum(dead_letters) FROM streamx.views'), '0|0', 'none was late, none was refused');
$node->same('SELECT event_type, count, sum_amount FROM total',
	'SELECT event_type, sum(count), sum(sum_amount) FROM page_minutes GROUP BY 1', 'totals');
$node->same('SELECT minute, page, count, sum_amount FROM pages',
	"SELECT minute, page, sum(count), sum(sum_amount) FROM page_minutes WHERE minute >= '$kept' GROUP BY 1, 2", 'windows that are kept');
$node->same('SELECT minute, user_id, count, sum_amount FROM users',
	"SELECT minute, user_id, sum(count), sum(sum_amount) FROM user_minutes
	 WHERE minute >= (SELECT min(minute) FROM users) AND minute + interval '1 minute' <= '$watermark' GROUP BY 1, 2", 'final windows that are kept');
$node->same('SELECT minute, count, sum_amount, users FROM minutes',
	"SELECT minute, sum(count), sum(sum_amount), count(DISTINCT user_id) FROM user_minutes
	 WHERE minute + interval '1 minute' <= '$watermark' GROUP BY 1", 'each final window');
$node->same("SELECT start, event_type, count, ads FROM sliding WHERE start >= '$kept'",
	"SELECT start, event_type, sum(count), count(DISTINCT ad_id)
	 FROM page_minutes, generate_series(minute - interval '4 minutes', minute, '1 minute') AS start WHERE start >= '$kept' GROUP BY 1, 2",
	'overlapping windows that are kept');
cmp_ok(sql('SELECT count(DISTINCT minute) FROM pages'), '<=', 16, 'retention has removed the others');

$node->log_is_clean;
$node->stop;
done_testing();
