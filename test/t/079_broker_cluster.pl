
# A cluster of three brokers, of which one after the other fails: leaders move, and
# each message counts once, also those of transactions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{STREAMX_LONG} ? 10 : 1;
my $partitions = 6;
my @brokers = StreamxKafka->cluster(3);
my $kafka = $brokers[0];
my $bootstrap = join ',', map { $_->bootstrap } @brokers;
my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $sent = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Until each partition has a leader other than $gone, and so many replicas.
sub settled
{
	my ($gone, $in_sync) = @_;

	foreach my $i (1 .. 300)
	{
		my @leaders = $kafka->leaders('t');

		return 1 if @leaders == $partitions && !grep { $$_[1] < 0 || $$_[1] == $gone || $$_[2] < $in_sync } @leaders;
		usleep(200_000);
	}
	diag(join "\n", map { "@$_" } $kafka->leaders('t'));
	return 0;
}

sub messages
{
	my ($n) = @_;

	$sent += $n;
	return map { sprintf '{"n": %d, "ts": "2026-01-01T00:%02d:%02dZ"}', $_, $_ / 6000 % 60, $_ / 100 % 60 } $sent - $n + 1 .. $sent;
}

sub exact
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT (SELECT count FROM total) = $sent"), "$name: all have come")
	  or diag(sql('TABLE total'), "\n", $node->situation);
	$node->same('TABLE total', "SELECT ${sent}::bigint, ${sent}::bigint * ($sent + 1) / 2", "$name: each once");
	$node->same('SELECT count(*), count(DISTINCT n), max(n) FROM each', "SELECT ${sent}::bigint, ${sent}::bigint, $sent", "$name: rows");
	$node->same('TABLE seconds', "SELECT timestamptz '2026-01-01Z' + (n / 100) * interval '1 s' AS w, count(*) FROM generate_series(1, $sent) AS n GROUP BY 1", "$name: groups");
	return;
}

$kafka->create_topic('t', $partitions, 'replication.factor' => 3, 'min.insync.replicas' => 2);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE t (n int, ts timestamptz) SERVER broker OPTIONS (topic 't', event_time 'ts', watermark '1 hour');
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM t;
CREATE VIEW each WITH (streamx.continuous) AS SELECT n FROM t;
CREATE VIEW seconds WITH (streamx.continuous) AS SELECT date_trunc('second', ts) AS w, count(*) FROM t GROUP BY 1;
SQL
ok(settled(0, 3), 'the cluster is there');
$kafka->produce('t', -1, messages(2000));
exact('before');

foreach my $round (1 .. $rounds)
{
	foreach my $victim (2, 3)
	{
		my $how = ($round + $victim) % 2 ? 'killed' : 'stopped';
		my $producer = $kafka->producer('t', 'bootstrap.servers' => $bootstrap, 'message.timeout.ms' => 60000);
		my $led = grep { $$_[1] == $victim } $kafka->leaders('t');

		$producer->send(-1, messages(3000));
		$how eq 'killed' ? $brokers[ $victim - 1 ]->kill9 : $brokers[ $victim - 1 ]->stop;
		$producer->send(-1, messages(3000));
		$producer->finish;
		ok(settled($victim, 2), "round $round: broker $victim, which led $led partitions, is $how: others lead");
		$kafka->produce('t', -1, messages(3000));
		exact("round $round: broker $victim is $how");
		ok($node->wait_until("SELECT string_agg(state, ',') = 'running' FROM streamx.streams"), 'the stream runs');
		$brokers[ $victim - 1 ]->start;
		ok(settled(0, 3), "round $round: broker $victim is back");
	}
}
exact('in the end');

ok($node->wait_until(q(SELECT count(*) = 0 FROM streamx.views WHERE state <> 'running' OR dead_letters > 0)), 'all is well');
$node->log_is_clean;
$node->stop;
done_testing();
