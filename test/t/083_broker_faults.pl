
# What brokers and networks do: topics that are compacted, compressed, deleted
# and created again; rows that are gone; messages larger than what is fetched at
# once; a network that is slow and cuts connections.  Each ends in progress, or in
# a state that says why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use StreamxProxy;
use Test::More;
use Time::HiRes qw(time usleep);

my $behind = PostgreSQL::Test::Cluster::get_free_port();
my $front = PostgreSQL::Test::Cluster::get_free_port();
my $kafka = StreamxKafka->new(props => [
	"listeners=PLAINTEXT://127.0.0.1:\@PORT\@,CONTROLLER://127.0.0.1:\@CONTROLLER\@,BEHIND://127.0.0.1:$behind",
	"advertised.listeners=PLAINTEXT://127.0.0.1:\@PORT\@,BEHIND://127.0.0.1:$front",
	'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BEHIND:PLAINTEXT',
	'log.cleaner.backoff.ms=200', 'log.cleaner.min.cleanable.ratio=0.01', 'log.segment.delete.delay.ms=1000' ]);
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1');
my $bootstrap = $kafka->bootstrap;
my $proxy = StreamxProxy->new(from => $front, to => $behind);

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub shows
{
	my ($stream, $condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($node->wait_until("SELECT $condition FROM streamx.streams WHERE stream = '$stream'::regclass"), $name)
	  or diag(sql("SELECT * FROM streamx.streams WHERE stream = '$stream'::regclass"));
	return;
}

sub stream
{
	my ($name, $options, $server) = @_;

	$server //= 'broker';
	sql("CREATE FOREIGN TABLE $name (k text OPTIONS (metadata 'key'), n int) SERVER $server OPTIONS (topic '$name'$options);
		CREATE VIEW ${name}_v WITH (streamx.continuous) AS SELECT count(*), count(n) AS ns, sum(n) FROM $name;
		CREATE VIEW ${name}_each WITH (streamx.continuous) AS SELECT k, n FROM $name");
	return;
}

sub holds
{
	my ($view, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT (SELECT v::text FROM $view AS v) = '($expected)'"), $name)
	  or diag(sql("TABLE $view"), "\n", $node->situation);
	return;
}

sub messages
{
	my ($from, $to) = @_;
	return map { qq({"n": $_}) } $from .. $to;
}

sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE SERVER far TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:$front');
CREATE SERVER small TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap', "fetch.message.max.bytes" '2000');
SQL

# ---- compression

$kafka->create_topic('compressed', 2);
stream('compressed', '');
my $sent = 0;
foreach my $codec (qw(none gzip snappy lz4 zstd))
{
	my $producer = $kafka->producer('compressed', 'compression.codec' => $codec);

	$producer->send(-1, messages($sent + 1, $sent + 500));
	$producer->finish;
	$sent += 500;
	holds('compressed_v', join(',', $sent, $sent, $sent * ($sent + 1) / 2), "compression $codec");
}
is(sql('SELECT count(*) FROM compressed'), $sent, 'SELECT reads all of them');

# ---- larger than what is fetched at once

$kafka->create_topic('large', 1);
sql(q(CREATE FOREIGN TABLE large (n int, t text) SERVER small OPTIONS (topic 'large');
	CREATE VIEW large_v WITH (streamx.continuous) AS SELECT n, length(t) FROM large));
$kafka->produce('large', 0, map { my $bytes = 10**$_; qq({"n": $_, "t": ") . ('x' x $bytes) . '"}' } 2 .. 6);
ok($node->wait_until(q(SELECT string_agg(n || ':' || length, ' ' ORDER BY n) = '2:100 3:1000 4:10000 5:100000 6:1000000' FROM large_v)),
	'messages larger than the fetch limit')
  or diag($node->situation);

# ---- a compacted topic: offsets are missing, also the last ones, and there are tombstones

$kafka->create_topic('compacted', 1, 'cleanup.policy' => 'compact', 'segment.ms' => 100, 'min.cleanable.dirty.ratio' => '0.01',
	'delete.retention.ms' => 100, 'max.compaction.lag.ms' => 200);
stream('compacted', '');
foreach my $round (1 .. 20)
{
	$kafka->produce('compacted', 0, map { { key => "k$_", value => $round == 20 && $_ < 5 ? undef : qq({"n": $round}) } } 1 .. 10);
	# What follows may have it cleaned away, however soon: both views must have it before.
	my $has = join(',', 10 * $round, 10 * $round - ($round == 20 ? 4 : 0), 5 * $round * ($round + 1) - ($round == 20 ? 80 : 0));

	$node->wait_until("SELECT (SELECT v::text FROM compacted_v AS v) = '($has)'
		AND (SELECT (count(*), count(n), sum(n))::text FROM compacted_each) = '($has)'", 60)
	  or die "compacted topic, round $round: " . sql('TABLE compacted_v') . "\n" . $node->situation;
}
pass('a compacted topic, read while it is compacted');
# a new segment, so that the ones before can be compacted; its key goes, too
foreach my $i (1 .. 100)
{
	$kafka->produce('compacted', 0, { key => 'last', value => undef });
	usleep(200_000);
	last if sql('SELECT count(*) FROM compacted WHERE k <> $$last$$') <= 10;
}
cmp_ok(sql(q(SELECT count(*) FROM compacted WHERE k <> 'last')), '<=', 10, 'most of it is gone');
sql(q(CREATE VIEW compacted_later WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT k, n FROM compacted WHERE k <> 'last'));
$node->caught_up('compacted_later');
$node->caught_up('compacted_v');
# whoever reads now gets the last of each key
is(sql(q(SELECT string_agg(DISTINCT k || ':' || n, ' ' ORDER BY k || ':' || n) FROM compacted_later WHERE n IS NOT NULL)),
	join(' ', sort map { "k$_:20" } 5 .. 10), 'a view of the compacted topic has the last of each key');
is(sql(q(SELECT count(*), count(n), sum(n) FROM compacted_each WHERE k <> 'last')), '200|196|2020', 'one from before has all that there was');

# ---- rows that retention has taken before they were read

$kafka->create_topic('expired', 1);
stream('expired', '');
$kafka->produce('expired', 0, messages(1, 10));
holds('expired_v', '10,10,55', 'before');
sql(q(SELECT streamx.pause('expired_v'), streamx.pause('expired_each')));
$kafka->produce('expired', 0, messages(11, 20));
$kafka->truncate('expired', 0, 15);
sql(q(SELECT streamx.resume('expired_v'), streamx.resume('expired_each')));
shows('expired', q(error LIKE 'offsets 10 to 14 of partition 0%' AND state <> 'running'), 'rows that are gone are visible');
is(sql(q(SELECT count(*) FROM streamx.views WHERE view::text LIKE 'expired%' AND rows_in > 10)), 0, '... and nothing is read past them');
sql(q(ALTER FOREIGN TABLE expired OPTIONS (ADD on_data_loss 'continue')));
holds('expired_v', '15,15,145', 'on_data_loss continue cures it');
shows('expired', q(error LIKE '%10 was no longer on the broker%' AND state = 'running'), 'what was skipped stays to be seen');

# ---- deleted and created again: shorter, and longer than what was read

foreach my $policy ('stop', 'continue')
{
	foreach my $rows (5, 30)
	{
		my $topic = "anew_${policy}_$rows";

		$kafka->create_topic($topic, 1);
		stream($topic, ", on_data_loss '$policy'");
		$kafka->produce($topic, 0, messages(1, 10));
		holds("${topic}_v", '10,10,55', "$topic: before");
		$kafka->delete_topic($topic);
		shows($topic, q(error LIKE '%does not exist%'), "$topic: deleted is visible");
		usleep(4_000_000);
		$kafka->create_topic($topic, 1);
		$kafka->produce($topic, 0, messages(101, 100 + $rows));
		if ($policy eq 'stop')
		{
			shows($topic, q(error LIKE '%created anew%' AND state <> 'running'), "$topic: created anew is visible");
			is(sql("SELECT count FROM ${topic}_v"), 10, "$topic: and not read");
			$node->restart;
			shows($topic, q(error LIKE '%created anew%' AND state <> 'running'), "$topic: also after a restart");
			is(sql("SELECT count FROM ${topic}_v"), 10, "$topic: and not read then");
			sql("ALTER FOREIGN TABLE $topic OPTIONS (SET on_data_loss 'continue')");
		}
		holds("${topic}_v", join(',', 10 + $rows, 10 + $rows, 55 + $rows * 100 + $rows * ($rows + 1) / 2), "$topic: read from its beginning");
	}
}

# ---- created again while the server is down, which has seen that it is missing

foreach my $how ('stop', 'continue', 'live')
{
	my $topic = "back_$how";
	my $policy = $how eq 'stop' ? 'stop' : 'continue';
	my $closed = "SELECT c || ',' || s FROM ${topic}_final WHERE w = '2026-01-01 10:10Z'";
	my $marked = "FROM streamx.progress WHERE stream = '$topic'::regclass";

	$kafka->create_topic($topic, 2);
	sql(<<"SQL");
CREATE FOREIGN TABLE $topic (ts timestamptz, n int) SERVER broker
  OPTIONS (topic '$topic', event_time 'ts', watermark '1 second', idle_timeout '0', on_data_loss '$policy');
CREATE VIEW ${topic}_v WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM $topic;
CREATE VIEW ${topic}_paused WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM $topic;
CREATE VIEW ${topic}_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) AS c, sum(n) AS s FROM $topic GROUP BY w;
SQL
	$kafka->produce($topic, $_, map { qq({"ts": "2026-01-01 10:00:${_}Z", "n": 1}) } 10 .. 19) foreach 0, 1;
	holds("${topic}_$_", '20,20', "$topic: before, $_") foreach 'v', 'paused';
	$node->caught_up("${topic}_final");
	sql("SELECT streamx.pause('${topic}_paused')");
	$kafka->delete_topic($topic);
	ok($node->wait_until("SELECT bool_and(topic_deleted) AND count(*) = 6 $marked"), "$topic: it is kept for all views that it was deleted")
	  or diag($node->situation);
	$node->stop if $how ne 'live';
	$kafka->create_topic($topic, 2);
	$kafka->produce($topic, $_, map { qq({"ts": "2026-01-01 10:10:${_}Z", "n": 100}) } 10 .. 39) foreach 0, 1;
	$node->start if $how ne 'live';
	sql("SELECT streamx.resume('${topic}_paused')");
	if ($how eq 'stop')
	{
		shows($topic, q(error LIKE '%created anew%' AND state <> 'running'), "$topic: created anew is visible");
		is(sql("SELECT bool_and(topic_deleted) $marked"), 't', "$topic: who resumes a view that was paused does not say that it is the same");
		is(sql("SELECT count, (SELECT count(*) FROM ${topic}_final) FROM ${topic}_v"), '20|0', "$topic: nothing of it is read");
		foreach my $call ("streamx.verify('${topic}_v')", "streamx.rebuild('${topic}_v')", "streamx.rebuild('${topic}_v', '2026-01-01')")
		{
			my (undef, undef, $error) = $node->psql('postgres', "SELECT $call");
			like($error, qr/its topic was deleted or created anew/, "$call refuses");
		}
		sql("SELECT streamx.resume('${topic}_v')");
		holds("${topic}_v", '60,4020', "$topic: resume goes on where the view stood");
		sql("SELECT streamx.rebuild('${topic}_$_', 'earliest')") foreach 'v', 'final';
		holds("${topic}_v", '60,6000', "$topic: rebuild takes the whole of the new one");
		is(sql("SELECT count(*) $marked AND view = '${topic}_final'::regclass AND next_offset = 30 AND first_offset = 0 AND NOT topic_deleted"),
			2, "$topic: also of one that had not begun to read it");
		is(sql("SELECT bool_and(topic_deleted) $marked AND view = '${topic}_paused'::regclass"), 't', "$topic: which is no matter of others");
		sql("ALTER FOREIGN TABLE $topic OPTIONS (SET on_data_loss 'continue')");
	}
	holds("${topic}_paused", '80,6020', "$topic: read from its beginning");
	holds("${topic}_v", '80,6020', "$topic: read from its beginning") if $how ne 'stop';
	ok($node->wait_until("SELECT bool_and(next_offset = 30 AND NOT topic_deleted) $marked"), "$topic: all views stand in it");

	# what waits for its commit to be on disk takes those before along
	sql("CREATE TABLE ${topic}_flushed ()");
	$node->stop('immediate');
	$node->start;
	$kafka->produce($topic, $_, q({"ts": "2026-01-01 10:20:00Z", "n": 0})) foreach 0, 1;
	ok($node->wait_until("SELECT ($closed) = '60,6000'"), "$topic: each row of it counts once in its window, also after a crash")
	  or diag(sql("TABLE ${topic}_final"), "\n", $node->situation);
	is(sql("SELECT c FROM ${topic}_final WHERE w = '2026-01-01 10:00Z'"), $how eq 'stop' ? '' : 20,
		"$topic: what was read before counts as long as nothing is built anew");
}

# ---- created again while nobody looks: it is shorter at first, and longer later

$kafka->create_topic('outgrown', 2);
stream('outgrown', '');
$kafka->produce('outgrown', 0, messages(1, 10));
holds('outgrown_v', '10,10,55', 'before');
sql(q(SELECT streamx.pause('outgrown_v'), streamx.pause('outgrown_each')));
$kafka->delete_topic('outgrown');
usleep(2_000_000);
$kafka->create_topic('outgrown', 2);
$kafka->produce('outgrown', 0, messages(101, 105));
sql(q(SELECT streamx.resume('outgrown_v'), streamx.resume('outgrown_each')));
shows('outgrown', q(error LIKE 'partition 0 %up to offset 9: it was created anew%' AND state <> 'running'), 'a shorter topic is visible');
is(sql(q(SELECT streamx.wait('outgrown_v', '2 seconds'))), 'f', '... and nobody takes it for read');
$kafka->produce('outgrown', 0, messages(106, 130));
$node->restart;
shows('outgrown', q(error LIKE 'partition 0 %created anew%' AND state <> 'running'), 'it is longer after a restart: still visible');
is(sql('SELECT count FROM outgrown_v'), 10, '... and not read');
sql(q(SELECT streamx.rebuild('outgrown_v', 'earliest'), streamx.rebuild('outgrown_each', 'earliest')));
shows('outgrown', q(error IS NULL AND state = 'running'), 'rebuild cures it');
$kafka->produce('outgrown', 0, messages(131, 140));
holds('outgrown_v', '40,40,4820', 'it is read on');
is(sql(q(SELECT count(*) FROM streamx.verify('outgrown_v'))), 0, 'verify finds no difference');

# ---- a network that is slow, and cuts connections in the midst of messages

$kafka->create_topic('far', 4);
stream('far', '', 'far');
$sent = 0;
foreach my $how ([], [ cut_after => 30_000 ], [ cut_after => 100_000, delay_ms => 2, piece => 1000 ], [ refuse => 1 ], [ cut_after => 5_000 ], [])
{
	my $what = @$how ? "@$how" : 'a network as it should be';
	my $n = $ENV{STREAMX_LONG} ? 100_000 : 20_000;
	my $cuts = $proxy->cuts;

	$proxy->be(@$how);
	$kafka->produce('far', -1, messages($sent + 1, $sent + $n));
	$sent += $n;
	if ($what =~ /refuse/)
	{
		shows('far', q(state = 'down' AND error <> ''), "$what: visible");
		next;
	}
	# there is some progress even so; all of it when the network is well again
	ok($node->wait_until("SELECT count > 0 FROM far_v"), "$what: it gets on");
	if (@$how)
	{
		for (my $try = 0; $proxy->cuts == $cuts && $try < 600; $try++)
		{
			usleep(100_000);
		}
		cmp_ok($proxy->cuts, '>', $cuts, "$what: connections are cut");
	}
	$proxy->be();
	holds('far_v', join(',', $sent, $sent, $sent * ($sent + 1) / 2), "$what: every message counts once");
}
is(sql('SELECT count(DISTINCT n) FROM far_each'), $sent, 'no row is missing');
shows('far', q(state = 'running' AND error IS NULL), 'no error is left');
note $proxy->cuts . ' connections were cut';

is(sql(q(SELECT string_agg(view || ': ' || error, ', ') FROM streamx.views WHERE state = 'stopped')), '', 'no view has stopped');
$node->log_is_clean;
$node->stop;
done_testing();
