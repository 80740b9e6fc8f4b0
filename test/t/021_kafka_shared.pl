
# Streams of one server share a client of librdkafka: what happens to one of
# them is nothing to the others.

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

use constant STREAMS => 12;

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my $node = StreamxCluster->started('main', 'streamx.workers = 1');

# the last one's topic is still to come
$kafka->create_topic("shared$_", 2) foreach 1 .. STREAMS - 1;
$node->safe_psql('postgres', <<"SQL" . join '', map { <<"SQL" } 1 .. STREAMS);
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
SQL
CREATE FOREIGN TABLE s$_ (word text) SERVER broker OPTIONS (topic 'shared$_', format 'text');
CREATE VIEW v$_ WITH (streamx.continuous) AS SELECT word, count(*) AS n FROM s$_ GROUP BY word;
SQL

# so many of the worker's threads are called that
sub threads
{
	my ($name) = @_;
	my $pid = $node->worker;
	my $n = 0;

	foreach my $path (glob "/proc/$pid/task/*/comm")
	{
		open my $file, '<', $path or next;
		$n++ if <$file> eq "$name\n";
	}
	return $n;
}

# So many clients there are in the end.
sub comes_to
{
	my ($clients, $name) = @_;
	my $now;

	for (1 .. 600)
	{
		$now = threads('rdk:main');
		last if $now == $clients;
		usleep(100_000);
	}
	is($now, $clients, $name);
	return;
}

sub holds
{
	my ($i, $words, $name) = @_;

	ok( $node->poll_query_until(
			'postgres', "SELECT string_agg(word || n, ' ' ORDER BY word) FROM v$i", $words), $name);
	return;
}

$kafka->produce("shared$_", 0, 'a') foreach 1 .. STREAMS - 1;
holds($_, 'a1', "stream $_ is read") foreach 1 .. STREAMS - 1;
comes_to(1, 'by one client');

ok($node->poll_query_until('postgres', "SELECT state = 'down' FROM streamx.streams WHERE stream = 's${\STREAMS}'::regclass"),
	'a stream without a topic says so');
ok($node->poll_query_until('postgres', "SELECT count(*) FROM streamx.streams WHERE state = 'running'", STREAMS - 1),
	'the others are not concerned');
$kafka->create_topic('shared' . STREAMS, 1);
$kafka->produce('shared' . STREAMS, 0, 'b');
holds(STREAMS, 'b1', 'once it is there, it is read');

# a partition is read once by a client
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE again (word text) SERVER broker OPTIONS (topic 'shared1', format 'text');
CREATE VIEW v100 WITH (streamx.continuous) AS SELECT word, count(*) AS n FROM again GROUP BY word;
SQL
holds(100, 'a1', 'a second stream over a topic reads it too');
comes_to(2, 'by a client of its own');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE again CASCADE');

# other settings, another client
$node->safe_psql('postgres', <<"SQL");
CREATE SERVER other TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap', "client.id" 'other');
CREATE FOREIGN TABLE apart (word text) SERVER other OPTIONS (topic 'shared2', format 'text');
CREATE VIEW v101 WITH (streamx.continuous) AS SELECT word, count(*) AS n FROM apart GROUP BY word;
SQL
holds(101, 'a1', 'a stream of another server is read');
comes_to(2, 'a client goes with the last of its streams');

# streams come and go
$node->safe_psql('postgres', 'DROP FOREIGN TABLE s1 CASCADE; DROP FOREIGN TABLE s3 CASCADE');
$node->safe_psql('postgres', q{ALTER FOREIGN TABLE s2 OPTIONS (ADD watermark '1 s')});
$kafka->add_partitions('shared4', 3);
$kafka->produce('shared4', 2, 'c');
$kafka->produce("shared$_", 1, 'd') foreach 2, 4 .. STREAMS - 1;
holds(4, 'a1 c1 d1', 'a new partition is found');
holds($_, 'a1 d1', "stream $_ goes on") foreach 2, 5 .. STREAMS - 1;

# all of them see an outage, and its end
$kafka->stop;
ok( $node->poll_query_until(
		'postgres', "SELECT count(*) = 0 FROM streamx.streams WHERE state = 'running'"), 'all streams see an outage');
$kafka->start;
$kafka->produce("shared$_", 0, 'e') foreach 2, 5 .. STREAMS - 1;
holds($_, 'a1 d1 e1', "stream $_ goes on after the outage") foreach 2, 5 .. STREAMS - 1;
ok( $node->poll_query_until(
		'postgres', "SELECT count(*) FROM streamx.streams WHERE state = 'running'", STREAMS - 1), 'all streams run again');

# what exceeds the first clients, which ask often, shares one that does not
my @more = (20 .. 49);
$kafka->create_topic("shared$_", 1) foreach @more;
$node->safe_psql('postgres', join '', map { <<"SQL" } @more);
CREATE FOREIGN TABLE s$_ (word text) SERVER broker OPTIONS (topic 'shared$_', format 'text');
CREATE VIEW v$_ WITH (streamx.continuous) AS SELECT word, count(*) AS n FROM s$_ GROUP BY word;
SQL
foreach my $word ('a', 'b')
{
	$kafka->produce("shared$_", 0, $word) foreach @more;
	holds($_, $word eq 'a' ? 'a1' : 'a1 b1', "stream $_ is read beside many others") foreach @more;
}
cmp_ok(threads('rdk:main'), '<=', 4, 'by at most three clients of one server, and one of another');

# quiet ones go there
comes_to(2, 'quiet streams share one client');

# how often the worker's threads of this name have waited, the main one apart
sub waits
{
	my ($name) = @_;
	my $pid = $node->worker;
	my $n = 0;

	foreach my $task (grep { !/\/$pid$/ } glob "/proc/$pid/task/*")
	{
		my $status = slurp_file("$task/status");
		my ($comm) = $status =~ /^Name:\s+(.*)$/m;
		my ($switches) = $status =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
		$n += $switches if $comm eq $name;
	}
	return $n;
}

my $slept;
for (1 .. 20)
{
	my $before = waits('postgres');

	sleep 2;
	$slept = waits('postgres') - $before;
	last if $slept < 10;
}
cmp_ok($slept, '<', 10, 'and have threads that sleep');

# news comes at once nevertheless; who has much of it moves, and loses nothing
$kafka->produce("shared$_", 0, 'c') foreach 49, 20, 2;
holds($_, 'a1 b1 c1', "a message of quiet stream $_ is seen") foreach 49, 20;
holds(2, 'a1 c1 d1 e1', 'and one of stream 2');
my $producer = $kafka->producer('shared30');
my $sent = 0;
my $clients;
for (1 .. 1200)
{
	$producer->send(0, ('m') x 10);
	$sent += 10;
	$clients = threads('rdk:main');
	last if $clients == 3;
	usleep(50_000);
}
is($clients, 3, 'a stream that has become busy gets a client that asks often');
$producer->send(0, ('m') x 1000);
$sent += 1000;
$producer->finish;
holds(30, "a1 b1 m$sent", 'none of its messages is lost or read twice');
comes_to(2, 'when it is quiet it goes back');
$kafka->produce('shared30', 0, 'z');
holds(30, "a1 b1 m$sent z1", 'and is read there');

$node->stop;
done_testing();
