
# What wait, verify and the status views say about a Kafka topic.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $bootstrap = $kafka->bootstrap;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub event
{
	my ($i) = @_;
	return sprintf '{"ts": "2026-03-01T10:%02d:%02dZ", "k": "k%d", "v": %d, "f": %.2f}',
	  ($i / 60) % 60, $i % 60, $i % 7, $i, $i / 3;
}

$kafka->create_topic('events', 4);
$kafka->create_topic('lonely', 1);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (ts timestamptz, k text, v int, f float8)
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE FOREIGN TABLE latest (ts timestamptz, k text, v int, f float8)
  SERVER broker OPTIONS (topic 'events', start 'latest');
CREATE FOREIGN TABLE lonely (x int) SERVER broker OPTIONS (topic 'lonely');
SQL

# ---- nothing in the topic yet ----

sql(q{CREATE VIEW by_key WITH (streamx.continuous) AS
	SELECT k, count(*) AS n, sum(v) AS v, avg(f) AS f FROM events GROUP BY k});
is(sql("SELECT streamx.wait('by_key')"), 't', 'an empty topic is reached at once');
is(sql("SELECT kind, state FROM streamx.streams WHERE stream = 'lonely'::regclass"),
	'kafka|unread', 'a stream without a view');

# ---- rows, also in transactions: the ends are markers ----

$kafka->produce('events', 0, map { event($_) } 1 .. 500);
$kafka->produce('events', 1, map { event($_) } 501 .. 700);
$kafka->commit('events', 2, map { event($_) } 701 .. 900);
$kafka->abort('events', 2, map { event($_) } 901 .. 950);
is(sql("SELECT streamx.wait('by_key')"), 't', 'wait comes back');
$node->same('SELECT k, n, v FROM by_key',
	'SELECT k, count(*), sum(v) FROM events GROUP BY k',
	'what was there at the call is visible');
is(sql('SELECT sum(n) FROM by_key'), '900', 'and nothing that was aborted');
is(sql("SELECT * FROM streamx.verify('by_key')"), '', 'verify finds no difference');

is( sql(q{SELECT partition, next_offset, end_offset, lag_rows, watermark FROM streamx.partitions
		  WHERE stream = 'events'::regclass ORDER BY 1}),
	join("\n",
		'0|500|500|0|2026-03-01 10:08:15+00',
		'1|200|200|0|2026-03-01 10:11:35+00',
		'2|252|252|0|2026-03-01 10:14:55+00',
		'3|0|0|0|'),
	'streamx.partitions');
is( sql(q{SELECT kind, state, error, workers, rows_in, lag_rows, lag, watermark FROM streamx.streams
		  WHERE stream = 'events'::regclass}),
	'kafka|running||1|900|0|00:00:00|',
	'streamx.streams: a partition without a watermark holds it back');
is( sql(q{SELECT state, error, rows_in, rows_out > 0, rows_late, dead_letters, batches > 0,
		  rows_per_second > 0, latency >= '0', watermark, state_bytes > 0 FROM streamx.views}),
	'running||900|t|0|0|t|t|t||t',
	'streamx.views');

# ---- a partition that holds the watermark back, and the cure ----

$kafka->create_topic('held', 2);
sql(q{CREATE FOREIGN TABLE held (ts timestamptz, v int) SERVER broker
		OPTIONS (topic 'held', event_time 'ts', watermark '5 s', idle_timeout '0');
	  CREATE VIEW holder WITH (streamx.continuous) AS SELECT date_trunc('minute', ts) AS minute, count(*) FROM held GROUP BY 1});
$kafka->produce('held', 0, map { event($_) } 1 .. 100);
is(sql("SELECT streamx.wait('holder')"), 't', 'rows in one partition');
is( sql("SELECT severity, problem, cure FROM streamx.health() WHERE object = 'public.held'"),
	'warning|partition 1 holds the watermark back: it is at none yet, another partition at 2026-03-01 10:01:35+00|'
	  . 'Let rows come to it, or set the stream\'s option idle_timeout to a time after which silent partitions do not count.',
	'health names the other one');
is(sql("SELECT watermark FROM streamx.views WHERE view = 'holder'::regclass"), '', 'the view has no watermark');
sql("ALTER FOREIGN TABLE held OPTIONS (SET idle_timeout '1 s')");
ok($node->wait_until("SELECT watermark IS NOT NULL FROM streamx.views WHERE view = 'holder'::regclass"), 'the cure helps');
is(sql("SELECT count(*) FROM streamx.health() WHERE object = 'public.held'"), '0', 'and all is well');
sql('DROP FOREIGN TABLE held CASCADE');

# ---- where a view began ----

sql(q{CREATE VIEW since WITH (streamx.continuous) AS SELECT k, v FROM latest});
is(sql("SELECT streamx.wait('since')"), 't', 'a view that starts at the end');
sql(q{CREATE VIEW everything WITH (streamx.continuous) AS SELECT k, v FROM events});
$kafka->produce('events', 3, map { event($_) } 1001 .. 1010);
$kafka->produce('events', 1, map { event($_) } 1011 .. 1020);
is(sql("SELECT streamx.wait('since'), streamx.wait('everything')"), 't|t',
	'more arrives');
is(sql('SELECT count(*) FROM since'), '20', 'latest means what came since');
is(sql('SELECT count(*) FROM everything'), '920', 'another view has all');
is(sql("SELECT * FROM streamx.verify('since')"), '',
	'a view that began at the end is verified from there');
is(sql("SELECT * FROM streamx.verify('everything')"), '', 'a later view is exact');
is(sql("SELECT state FROM streamx.views WHERE view = 'everything'::regclass"),
	'running', 'and has caught up');
is( sql(q{SELECT partition, first_offset, next_offset FROM streamx.progress
		  WHERE view = 'since'::regclass ORDER BY 1}),
	"0|500|500\n1|200|210\n2|252|252\n3|0|10", 'progress says where it began');

# ---- dead letters are missing in the view, not in its verification ----

sql(q{CREATE VIEW inverse WITH (streamx.continuous) AS SELECT k, sum(100 / v) AS s FROM events GROUP BY k});
$kafka->produce('events', 0, 'nonsense', '{"k": "k0", "v": 0}', '{"v": 1e99}', event(2001));
is(sql("SELECT streamx.wait('inverse'), streamx.wait('by_key')"), 't|t', 'bad messages');
is( sql(q{SELECT view, dead_letters, state FROM streamx.views
		  WHERE view IN ('inverse'::regclass, 'by_key'::regclass) ORDER BY view::text}),
	"by_key|2|running\ninverse|3|running",
	'rows that a view lacks: not decoded, failed in its expressions');
is(sql("SELECT * FROM streamx.verify('inverse')"), '', 'verify leaves them out as well');
is(sql("SELECT * FROM streamx.verify('by_key')"), '', 'each its own');

# ---- verify finds what somebody else has changed ----

sql(q{UPDATE by_key SET v = v + 1 WHERE k = 'k1';
	  DELETE FROM by_key WHERE k = 'k2';
	  INSERT INTO by_key VALUES ('k9', 1, 1, 1);
	  UPDATE by_key SET f = f * (1 + 1e-13) WHERE k = 'k3';
	  DELETE FROM everything WHERE v = 17});
is( sql(q{SELECT difference, coalesce(result -> 'batch' ->> 'k', result -> 'table' ->> 'k')
		  FROM streamx.verify('by_key') ORDER BY 2}),
	"differs|k1\nmissing|k2\nextra|k9", 'differences of groups');
is( sql(q{SELECT difference, result -> 'batch' ->> 'v', result -> 'table'
		  FROM streamx.verify('everything')}),
	'missing|17|null', 'differences of rows');

# a worker that goes on meanwhile does not matter
sql(q{DELETE FROM by_key WHERE k = 'k9'});
my $differences = '';
foreach my $round (1 .. 5)
{
	$kafka->produce('events', $round % 4, map { event($_) } 3000 .. 3499);
	$differences .= sql("SELECT * FROM streamx.verify('inverse')");
}
is($differences, '', 'verify of a view that changes');

# ---- an open transaction of somebody else does not delay it ----

my $transaction = $kafka->begin('events', 1, event(5000));
$kafka->produce('events', 1, event(5001));
$kafka->produce('events', 2, event(5002));
is(sql("SELECT streamx.wait('since')"), 't', 'wait does not wait for open transactions');
is(sql('SELECT count(*) FROM since WHERE v >= 5000'), '1', 'what can be read is there');
$transaction->rollback;
is(sql("SELECT streamx.wait('since')"), 't', 'the transaction is over');
is(sql('SELECT count(*) FROM since WHERE v >= 5000'), '2', 'what it held up has come');

# ---- pause, and rows that wait ----

sql("SELECT streamx.pause('since')");
$kafka->produce('events', 0, event(6000));
is(sql("SELECT streamx.wait('since', '500 ms')"), 'f', 'a paused view is not waited for in vain');
ok($node->wait_until("SELECT state = 'idle' FROM streamx.streams WHERE stream = 'latest'::regclass"),
	'nobody reads its stream');
sql("SELECT streamx.resume('since')");
is(sql("SELECT streamx.wait('since')"), 't', 'it goes on');

# ---- the broker is away ----

$kafka->create_topic('out', 1);
sql(q{CREATE FOREIGN TABLE inside (a int) SERVER streamx;
	  CREATE FOREIGN TABLE outside (a int) SERVER broker OPTIONS (topic 'out');
	  CREATE VIEW sent WITH (streamx.continuous, streamx.sink = 'outside') AS SELECT a FROM inside;
	  INSERT INTO inside VALUES (1)});
ok($node->wait_until("SELECT rows_out = 1 AND sink_lag = 0 FROM streamx.views WHERE view = 'sent'::regclass"), 'a sink');
$kafka->stop;
sql('INSERT INTO inside SELECT generate_series(1, 10)');
ok($node->wait_until("SELECT count(*) > 0 FROM streamx.health() WHERE object = 'public.sent'"), 'rows wait to be sent');
like(
	sql("SELECT severity, problem, cure FROM streamx.health() WHERE object = 'public.sent'"),
	qr/^error\|10 rows wait to be sent to sink public\.outside: .+\|See that the topic's broker is up/, 'health says so');
is(sql("SELECT kind FROM streamx.errors WHERE view = 'sent'::regclass"), 'sink', 'and the history');
ok( $node->wait_until(
		q{SELECT state = 'down' AND error <> '' FROM streamx.streams WHERE stream = 'events'::regclass}),
	'an outage is seen');
like(
	sql("SELECT severity, problem, cure FROM streamx.health() WHERE object = 'public.events'"),
	qr/^error\|the stream cannot be read: .+\|See that its source is up and can be reached .* its server broker; reading goes on by itself\.$/,
	'health says so');
is(sql("SELECT state FROM streamx.views WHERE view = 'inverse'::regclass"),
	'running', 'and is no error of the view');
is(sql("SELECT streamx.wait('inverse', '2 s')"), 'f', 'nor of wait');
like(
	$node->error("SELECT * FROM streamx.verify('inverse')"),
	qr/could not reach Kafka/, 'verify says that it cannot ask');
$kafka->start;
is(sql("SELECT streamx.wait('inverse', '60 s')"), 't', 'the broker is back');
ok($node->wait_until("SELECT sink_lag = 0 FROM streamx.views WHERE view = 'sent'::regclass"), 'for the sink, too');
ok($node->wait_until("SELECT count(*) = 0 FROM streamx.health() WHERE severity = 'error'"), 'nothing is wrong any more');
is(sql("SELECT * FROM streamx.verify('inverse')"), '', 'and all agrees');

# ---- what is no longer there ----

$kafka->truncate('events', 0, 100);
like(
	$node->error("SELECT * FROM streamx.verify('by_key')"),
	qr/no longer has .* offset 0 .*partition 0.*first offset that the topic still keeps is 100/s,
	'messages that the broker has dropped cannot be verified');
is(sql("SELECT * FROM streamx.verify('since')"), '', 'a view that began behind them can');

sql(q{CREATE FOREIGN TABLE nowhere (x int) SERVER broker OPTIONS (topic 'nowhere');
	  CREATE VIEW nothing WITH (streamx.continuous) AS SELECT x FROM nowhere});
like(
	$node->error("SELECT streamx.wait('nothing')"),
	qr/topic "?nowhere"? .*does not exist/, 'a topic that does not exist is an error');
ok( $node->wait_until(
		q{SELECT state = 'down' AND error ~ 'nowhere.* does not exist' FROM streamx.streams
		  WHERE stream = 'nowhere'::regclass}),
	'and is shown');

$node->log_is_clean;
$node->stop;
done_testing();
