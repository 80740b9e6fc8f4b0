
# A new user's first hour, from the README alone: what it says under the
# headings below is run as it stands, in a bare server, over a topic of the
# user's own; its dump goes into a second server, which goes on exactly.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('hour');
my $query = q(SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount), count(DISTINCT user_id) AS users
	FROM clicks GROUP BY minute, page);

# What stands below a heading in blocks of a kind, in its order.
sub blocks
{
	my ($heading, $kind) = @_;
	my ($part) = $readme =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms or die "the README has no \"$heading\"\n";
	my @blocks = $part =~ /^```\Q$kind\E\n(.*?)^```/msg or die "no $kind below \"$heading\"\n";

	return map { s/localhost:9092/$bootstrap/gr } @blocks;
}

sub run_all
{
	my ($node, $heading) = @_;

	is($node->error($_, 'mydb'), '', "$heading: " . (split /\n/)[0]) foreach blocks($heading, 'sql');
	return;
}

# A server as the README's installation has it, and nothing else.
sub bare_server
{
	my ($name) = @_;
	my ($setting) = $readme =~ /^(shared_preload_libraries = .*)$/m;
	my $node = StreamxCluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "$setting\ntimezone = 'UTC'\n");
	$node->start;
	return $node;
}

# Messages into both partitions, out of order within a minute; each call has
# an hour of its own, so that no row is late however slow the machine is.
my $produced = 0;
my $hour = 9;

sub produce
{
	my ($n) = @_;

	foreach my $partition (0, 1)
	{
		$kafka->produce('clicks', $partition, map {
			my $i = $produced++;
			sprintf '{"ts": "2026-05-01T%02d:%02d:%02dZ", "page": "p%d", "user_id": %d, "amount": %d}',
			  $hour, $i / 60 % 60, ($i * 7) % 60, $i % 5, $i % 11, $i % 13;
		} 1 .. $n);
	}
	$hour += 2;
	return;
}

sub exact
{
	my ($node, $name) = @_;

	$node->caught_up('page_stats', 60, 'mydb');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->same('TABLE page_stats', $query, $name, 'mydb');
	return is($node->rows("SELECT rows_late + dead_letters FROM streamx.views WHERE view = 'page_stats'::regclass", 'mydb'), '0',
		"$name: no row is late or dead");
}

# ---- a topic, a view over it, a change, a look

$kafka->create_topic('clicks', 2);
my $first = bare_server('first');
$first->safe_psql('postgres', 'CREATE DATABASE mydb');
run_all($first, 'A Kafka topic as a live table');
produce(50);
$first->caught_up('page_stats', 60, 'mydb');
is($first->rows('SELECT sum(count) FROM page_stats', 'mydb'), '100', 'the view follows the topic');

run_all($first, 'The rest of the first hour');
exact($first, 'the changed view');
ok($first->wait_until("SELECT state = 'running' AND lag_rows = 0 FROM streamx.views", undef, 'mydb'), 'no lag is told where there is none');
is($first->rows("SELECT count(*) FROM streamx.health() WHERE severity = 'error'", 'mydb'), '0', 'all is well');

# ---- a broker that is away is seen, and its way back

$kafka->stop;
ok($first->wait_until("SELECT count(*) > 0 FROM streamx.health() WHERE severity = 'error' AND object LIKE '%clicks'", undef, 'mydb'), 'a broker that is away is told');
$kafka->start;
ok($first->wait_until("SELECT count(*) = 0 FROM streamx.health() WHERE severity = 'error'", undef, 'mydb'), 'and that it is back');

# ---- a dump, and what comes after it, into a second server

my $second = bare_server('second');
my ($shell) = blocks('The rest of the first hour', 'sh');
my ($host, $port) = ($second->host, $second->port);
my $standing = $first->rows('SELECT sum(next_offset) FROM streamx.progress', 'mydb');

$shell =~ s/-h other-server/-h $host -p $port/g or die 'the README names no other server';
{
	local $ENV{PGHOST} = $first->host;
	local $ENV{PGPORT} = $first->port;
	system_or_bail('sh', '-e', '-c', "cd '$dir'\n$shell");
}
is($second->rows('SELECT sum(next_offset) FROM streamx.progress', 'mydb'), $standing, 'the copy stands where the dump stood');
my $counted = $second->rows('SELECT rows_in FROM streamx.views', 'mydb');
produce(100);
exact($first, 'the first server goes on');
exact($second, 'the copy goes on');
is($second->rows('SELECT rows_in FROM streamx.views', 'mydb') - $counted, 200, 'the copy has read what came after the dump, and no more');
$second->restart;
produce(100);
exact($second, 'and after a restart');
$first->safe_psql('mydb', 'DROP CONTINUOUS VIEW page_stats');
is($first->rows('SELECT count(*) FROM streamx.views', 'mydb'), '0', 'the first is dropped');

$_->log_is_clean foreach $first, $second;
$_->stop foreach $first, $second;
done_testing();
