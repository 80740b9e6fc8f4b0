
# Results go to Kafka exactly once: a consumer that reads what is committed
# sees each row of a transform and of closed windows once, and of an update
# view each state once and in order, whatever is killed in between: the worker,
# the postmaster, the broker.  Then what else can happen to a sink.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{STREAMX_TEST_SEED} // int(time * 1000) % 1_000_000_007;
my $rounds = $ENV{STREAMX_LONG} ? 60 : 6;
my $per_round = 2000;
my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;

# What a batch commits is not on disk for a long time, unless the sender sees
# to it; batches are small, so that other ones come after a crash.
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'wal_writer_delay = 10s',
	'wal_writer_flush_after = 1GB', 'full_page_writes = off', 'autovacuum = off', 'streamx.max_batch_rows = 300', 'streamx.workers = 2');

srand($seed);
diag("STREAMX_TEST_SEED=$seed");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# All that was produced is in the view, and in its sink.
sub sent
{
	my (@views) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $view (@views)
	{
		$node->caught_up($view);
		ok( $node->wait_until("SELECT sink_lag = 0 FROM streamx.views WHERE view = '$view'::regclass"),
			"$view: all is sent")
		  or diag(sql("SELECT state, error, sink_lag, sink_error FROM streamx.views WHERE view = '$view'::regclass"));
	}
	return;
}

# What a topic holds, as rows of a table.
sub consume
{
	my ($topic, $table) = @_;
	my @messages = $kafka->consume($topic);
	my $copy = "CREATE TABLE $table (n int, partition int, key text, value text);\nCOPY $table FROM STDIN;\n";
	my $n = 0;

	foreach my $m (@messages)
	{
		$copy .= join("\t", $n++, $m->{partition}, $m->{key} // '\N', $m->{value} // '\N') . "\n";
	}
	sql("$copy\\.\n");
	return scalar @messages;
}

$kafka->create_topic('events', 3);
$kafka->create_topic('each_row', 3);
$kafka->create_topic('closed', 2);
$kafka->create_topic('per_user', 3);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (ts timestamptz, usr int, n int, part int OPTIONS (metadata 'partition'))
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '2 seconds', idle_timeout '0');
CREATE FOREIGN TABLE each_row_out (n bigint OPTIONS (path 'row.n'), usr text, source text DEFAULT 'streamx')
  SERVER broker OPTIONS (topic 'each_row');
CREATE FOREIGN TABLE closed_out (start timestamptz, usr int, count bigint, sum numeric)
  SERVER broker OPTIONS (topic 'closed', format 'csv');
CREATE FOREIGN TABLE per_user_out (usr text OPTIONS (metadata 'key'), count bigint, last int)
  SERVER broker OPTIONS (topic 'per_user');
CREATE VIEW each_row WITH (streamx.continuous, streamx.sink = 'each_row_out', streamx.key = 'usr', streamx.partition_by = 'part') AS
  SELECT n, usr, part FROM events WHERE n % 7 <> 0;
CREATE VIEW closed WITH (streamx.continuous, streamx.emit = 'final', streamx.sink = 'closed_out') AS
  SELECT tumble(ts, '5 seconds') AS start, usr, count(*), sum(n) FROM events GROUP BY start, usr;
CREATE VIEW per_user WITH (streamx.continuous, streamx.sink = 'per_user_out') AS
  SELECT usr, count(*), max(n) AS last FROM events GROUP BY usr;
SQL

# ---- kills

my $next = 0;

# So many events, to this partition or to each in turn.
sub events
{
	my ($n, $partition) = @_;
	my @messages = map {
		{
			partition => $partition // $_ % 3,
			value     => sprintf('{"ts": "2026-03-01T%02d:%02d:%02dZ", "usr": %d, "n": %d}',
				$_ / 360000, $_ / 6000 % 60, $_ / 100 % 60, rand(20), $_)
		}
	} $next .. $next + $n - 1;

	$next += $n;
	$kafka->produce('events', 0, @messages);
	return;
}

foreach my $round (1 .. $rounds)
{
	events($per_round);
	usleep(rand(700_000));
	if ($round % 12 == 5)
	{
		$kafka->kill9;
		$node->interrupt('immediate');
		usleep(rand(500_000));
		$kafka->start;
	}
	else
	{
		$node->interrupt(qw(postmaster worker immediate) [ $round % 3 ]);
	}
}

# Rows that have been sent, from a batch that nobody but the sender had a reason
# to flush.  The batch that comes after the crash is another one.
foreach my $round (1 .. 4)
{
	events(7, 2);
	sent('each_row', 'per_user');
	note 'WAL inserted, written: ' . sql('SELECT pg_current_wal_insert_lsn(), pg_current_wal_lsn()');
	$node->crash;
	events(7, 0);
	$node->start;
}
sent('each_row', 'closed', 'per_user');

consume('each_row', 'got_each');
consume('closed', 'got_closed');
consume('per_user', 'got_user');
note sql('SELECT (SELECT count(*) FROM got_each), (SELECT count(*) FROM got_closed), (SELECT count(*) FROM got_user)');

is(sql('SELECT count(*) FROM each_row'), sql("SELECT count(*) FROM generate_series(0, $next - 1) n WHERE n % 7 <> 0"),
	'the view itself');
$node->same(q(SELECT (value::json->'row'->>'n')::int, value::json->>'usr', key, value::json->>'source' FROM got_each),
	q(SELECT n, usr::text, usr::text, 'streamx' FROM each_row), 'a transform: each row once');
is(sql(q(SELECT count(*) FROM (SELECT v.part, count(DISTINCT g.partition) FROM got_each g JOIN each_row v
		ON v.n = (g.value::json->'row'->>'n')::int GROUP BY 1 HAVING count(DISTINCT g.partition) > 1) x)),
	0, 'partition_by: what belongs together is in one partition');
$node->same(q(SELECT value FROM got_closed), q(SELECT concat_ws(',', start, usr, count, sum) FROM closed),
	'closed windows: each row once');
is(sql('SELECT count(*) > 100 FROM closed'), 't', 'there are some');
$node->same(q(SELECT DISTINCT ON (key) key::int, (value::json->>'count')::int, (value::json->>'last')::int FROM got_user ORDER BY key, n DESC),
	'SELECT usr, count, last FROM per_user', 'an update view: the last message of each key is its row');
is(sql(q(SELECT count(*) FROM (SELECT (value::json->>'count')::int - lag((value::json->>'count')::int)
		OVER (PARTITION BY key, partition ORDER BY n) AS step FROM got_user) x WHERE step <= 0)),
	0, 'in order, no state twice');
is(sql('SELECT count(*) FROM (SELECT key FROM got_user GROUP BY key HAVING count(DISTINCT partition) > 1) x'),
	0, 'a key has one partition');
is(sql(q(SELECT count(*) FROM streamx.dead_letters)), 0, 'no dead letters');
ok($node->wait_until("SELECT NOT EXISTS (TABLE $_)"), "$_ is empty")
  foreach split /\n/, sql('SELECT outbox FROM streamx.continuous_views WHERE outbox IS NOT NULL');

# ---- nothing to do costs nothing

sub ticks
{
	my $ticks = 0;

	foreach my $pid ($node->pids('streamx worker', 'postgres'))
	{
		my @stat = split ' ', PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat");
		$ticks += $stat[13] + $stat[14];
	}
	return $ticks;
}
sql('CHECKPOINT');
usleep(500_000);
my $lsn = sql('SELECT pg_current_wal_insert_lsn()');
my $ticks = ticks();
usleep(2_000_000);
cmp_ok(ticks() - $ticks, '<=', 10, 'idle sinks take no time');
is(sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') < 2000"), 't', 'and write nothing');

# ---- somebody takes our name: without rows of his own, we take it back

my $name = sql(q(SELECT options->>'sink_name' FROM streamx.continuous_views WHERE view = 'per_user'::regclass));
$kafka->_tool("\n", 'hang', 'per_user', $name);
sub more
{
	my ($n) = @_;

	$kafka->produce('events', 0, map { sprintf '{"ts": "2026-03-01T20:00:00Z", "usr": 99, "n": %d}', $_ } 1 .. $n);
	return;
}
more(1);
sent('per_user');
is((grep { defined $_->{key} && $_->{key} eq '99' } $kafka->consume('per_user')), 1, 'fenced: goes on, once');

# ---- pause: nothing is sent; resume: all is

sql(q(SELECT streamx.pause('per_user')));
more(2);
$node->caught_up('each_row');
sql(q(SELECT streamx.resume('per_user')));
sent('per_user');
is((map { $_->{value} } grep { defined $_->{key} && $_->{key} eq '99' } $kafka->consume('per_user'))[-1],
	'{"count":3,"last":2}', 'after pause and resume');

# ---- a broker that is away: the view goes on

sql(<<'SQL');
CREATE FOREIGN TABLE src (id int, txt text) SERVER streamx;
CREATE FOREIGN TABLE missing_out (id int, txt text) SERVER broker OPTIONS (topic 'missing');
CREATE VIEW to_missing WITH (streamx.continuous, streamx.sink = 'missing_out') AS SELECT id, txt FROM src;
INSERT INTO src SELECT i, 'x' FROM generate_series(1, 25000) AS i;
SQL
$node->caught_up('to_missing');
ok($node->wait_until(q(SELECT sink_error LIKE 'topic "missing" does not exist on %' AND state = 'running' AND sink_lag = 25000
		FROM streamx.views WHERE view = 'to_missing'::regclass)), 'a topic that is missing is told, the view goes on');
$kafka->create_topic('missing', 1);
sent('to_missing');
ok($node->wait_until(q(SELECT sink_error IS NULL FROM streamx.views WHERE view = 'to_missing'::regclass)), 'once it is there all is well');
my @ids = map { $_->{value} =~ /"id":(\d+),/ } $kafka->consume('missing');
is_deeply(\@ids, [ 1 .. 25000 ], 'each row, in order');

# ---- too large together, too large alone

$kafka->create_topic('small', 1, 'max.message.bytes' => 3000);
$kafka->create_topic('large', 1);
sql(<<'SQL');
CREATE FOREIGN TABLE small_out (id text OPTIONS (metadata 'key'), txt text) SERVER broker OPTIONS (topic 'small');
CREATE VIEW to_small WITH (streamx.continuous, streamx.sink = 'small_out') AS SELECT id, txt FROM src WHERE id > 25000;
INSERT INTO src SELECT 25000 + i, md5(i::text) || md5((i + 1)::text) FROM generate_series(1, 200) AS i;
SQL
sent('to_small');
is(scalar($kafka->consume('small')), 200, 'many messages that are too large together');
sql(q(INSERT INTO src SELECT 30001, string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i));
ok($node->wait_until(q(SELECT state = 'stopped' AND sqlstate = '54000'
		AND error ~ 'topic "small" takes no message of 96\d\d bytes: row 201 of the outbox, key 30001'
		FROM streamx.views WHERE view = 'to_small'::regclass)), 'one that is too large stops the view and is named')
  or diag(sql('TABLE streamx.views'));
sql(q(ALTER FOREIGN TABLE small_out OPTIONS (SET topic 'large');
	SELECT streamx.resume('to_small');));
sent('to_small');
is(scalar($kafka->consume('large')), 1, 'it goes on where it stopped');

# ---- a partition that is not there yet

$kafka->create_topic('parts', 2);
sql(<<'SQL');
CREATE FOREIGN TABLE parts_out (part int OPTIONS (metadata 'partition'), id int) SERVER broker OPTIONS (topic 'parts');
CREATE VIEW to_parts WITH (streamx.continuous, streamx.sink = 'parts_out') AS SELECT id - 40000 AS part, id FROM src WHERE id > 40000;
INSERT INTO src VALUES (40001), (40003);
SQL
ok($node->wait_until(q(SELECT sink_error ~ 'could not write to topic "parts" .*nknown partition' FROM streamx.views
		WHERE view = 'to_parts'::regclass)), 'a partition that is missing is told');
$kafka->add_partitions('parts', 4);
sent('to_parts');
is_deeply([ sort map { "$_->{partition} $_->{value}" } $kafka->consume('parts') ],
	[ '1 {"id":40001}', '3 {"id":40003}' ], 'rows go where they say');
like(sql(q(SELECT streamx.explain('each_row'))), qr/each row exactly once, by way of streamx_state\.o\d+; key usr; partition by part/,
	'streamx.explain tells of it');

# ---- DROP

sql('DROP FOREIGN TABLE small_out, parts_out CASCADE; DROP VIEW to_missing;');
is(sql(q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^o\d+$')), 3,
	'the outboxes of dropped views are gone');
is(sql(q(SELECT count(*) FROM streamx.views WHERE state <> 'running' OR sink_error IS NOT NULL)), 0, 'the others go on');

$node->log_is_clean;
$node->stop;
done_testing();
