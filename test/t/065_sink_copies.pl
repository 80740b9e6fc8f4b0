
# Copies of a database whose view writes to Kafka: a restored backup, two that
# run side by side, a synchronous standby that takes over.

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
my $bootstrap = $kafka->bootstrap;
my $main = StreamxCluster->new('main');
$main->init(allows_streaming => 1);
$main->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'streamx'
log_line_prefix = '%m [%p] %b '
log_min_messages = info
max_worker_processes = 16
CONF
$main->start;

sub insert
{
	my ($node, $from, $to) = @_;

	$node->safe_psql('postgres', "INSERT INTO s SELECT generate_series($from, $to)");
	$node->caught_up('v');
	return;
}

sub shows
{
	my ($node, $condition, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT $condition FROM streamx.views"), $name)
	  or diag($node->safe_psql('postgres', 'SELECT state, error, sink_lag, sink_error FROM streamx.views'));
	return;
}

sub topic_has
{
	my ($expected, $name) = @_;
	my @got = map { /"id":(\d+)/ } map { $_->{value} } $kafka->consume('out');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply(\@got, $expected, $name) or diag("@got");
	return;
}

$kafka->create_topic('out', 1);
$main->safe_psql('postgres', <<"SQL");
CREATE EXTENSION streamx;
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE s (id int) SERVER streamx;
CREATE FOREIGN TABLE o (id int) SERVER broker OPTIONS (topic 'out');
CREATE VIEW v WITH (streamx.continuous, streamx.sink = 'o') AS SELECT id FROM s;
SQL
insert($main, 1, 100);
shows($main, 'sink_lag = 0', 'rows are sent');
$main->backup('old');
insert($main, 101, 200);
shows($main, 'sink_lag = 0', 'and more, after the backup');
topic_has([ 1 .. 200 ], 'the topic has them');
$main->stop;

# ---- the backup takes over: what its view writes again was sent

my $copy = StreamxCluster->new('copy');
$copy->init_from_backup($main, 'old');
$copy->start;
insert($copy, 101, 250);
shows($copy, 'sink_lag = 0', 'a restored backup goes on');
topic_has([ 1 .. 250 ], 'rows that come again are not sent again');
like(slurp_file($copy->logfile), qr/This copy of the data is older/, 'the log tells of it');

# ---- both at once: the one that finds the other's rows stops

$main->start;
insert($main, 301, 360);
shows($main, 'sink_lag = 0', 'the original goes on as well');
topic_has([ 1 .. 250, 351 .. 360 ], 'from where the topic is');
insert($copy, 401, 401);
shows($copy, q(state = 'stopped' AND sqlstate = '55000' AND error ~ 'somebody else sends the rows of this view to topic "out"'),
	'the other one notices and stops');
topic_has([ 1 .. 250, 351 .. 360 ], 'it has sent nothing');
$copy->stop;

# ---- a synchronous standby has what the topic has

$main->backup('new');
$main->safe_psql('postgres', q(ALTER SYSTEM SET synchronous_standby_names = 'standby'));
$main->reload;
ok($main->wait_until(q(SELECT current_setting('synchronous_standby_names') = 'standby')), 'a standby is asked for');
$main->safe_psql('postgres', 'SET synchronous_commit = local; INSERT INTO s SELECT generate_series(501, 520)');
$main->caught_up('v');
shows($main, q(sink_lag = 20 AND sink_error = 'waiting for a synchronous standby' AND state = 'running'),
	'nothing is sent before it has it');
topic_has([ 1 .. 250, 351 .. 360 ], 'nothing is');
my $standby = StreamxCluster->new('standby');
$standby->init_from_backup($main, 'new', has_streaming => 1);
$standby->start;
shows($main, 'sink_lag = 0 AND sink_error IS NULL', 'then it is');
insert($main, 521, 530);
$main->wait_until('SELECT sink_lag = 0 FROM streamx.views');
$main->crash;
$standby->promote;
$standby->safe_psql('postgres', q(ALTER SYSTEM RESET synchronous_standby_names));
$standby->reload;
ok($standby->wait_until('SELECT NOT pg_is_in_recovery()'), 'the standby is promoted');
insert($standby, 531, 540);
shows($standby, 'sink_lag = 0', 'it goes on');
topic_has([ 1 .. 250, 351 .. 360, 501 .. 540 ], 'with nothing twice and nothing missing');

$standby->stop;
done_testing();
