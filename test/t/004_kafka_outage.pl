
# The broker is not there, goes away, hangs; topics that are missing; options
# that are wrong.  All of it is visible, cures itself when the cause is gone,
# and leaves the other streams of the worker alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time sleep);

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
# one worker: every stream is in the same process
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub state_of
{
	my ($stream) = @_;
	return sql("SELECT state FROM streamx.streams WHERE stream = '$stream'::regclass");
}

sub shows
{
	my ($stream, $condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok( $node->wait_until("SELECT $condition FROM streamx.streams WHERE stream = '$stream'::regclass"), $name)
	  or diag(sql("SELECT * FROM streamx.streams WHERE stream = '$stream'::regclass"));
	return;
}

# A native stream beside them, in the same worker, that nothing may delay.
my $beside = 0;
sub others_go_on
{
	my ($when) = @_;
	my $began = time;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$beside += 10;
	sql('INSERT INTO beside SELECT generate_series(1, 10)');
	ok($node->wait_until("SELECT count = $beside FROM beside_total", 30), "$when: another stream of the worker goes on");
	note sprintf 'after %.2f s', time - $began;
	return;
}

sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (n int) SERVER broker OPTIONS (topic 'events');
CREATE FOREIGN TABLE beside (a int) SERVER streamx;
CREATE VIEW beside_total WITH (streamx.continuous) AS SELECT count(*) FROM beside;
SQL
$kafka->create_topic('events', 2);
my $sent = 0;
sub events
{
	my ($n) = @_;
	$kafka->produce('events', 0, map { { partition => $_ % 2, value => qq({"n": $_}) } } $sent .. $sent + $n - 1);
	$sent += $n;
	return;
}

sub exact
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT count = $sent FROM total"), "$when: all events count");
	is(sql('TABLE total'), join('|', $sent, $sent * ($sent - 1) / 2), '... once');
	return;
}

events(1000);

# ---- down at CREATE

$kafka->stop;
others_go_on('before');
is( $node->error('CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM events'),
	'', 'CREATE VIEW while the broker is down');
is(sql('TABLE total'), '0|', 'the view is there, and empty');
shows('events', "state IN ('down', 'connecting') AND error <> ''", 'streamx.streams says that the broker is not reached');
like(sql("SELECT error FROM streamx.streams WHERE stream = 'events'::regclass"),
	qr/\Q$bootstrap\E/, '... and which');
is(sql(q(SELECT streamx.wait('total', '1 s'))), 'f', 'streamx.wait gives up in time');
others_go_on('down');
like($node->error('SELECT count(*) FROM events'), qr/could not reach Kafka.*HINT/s, 'SELECT says so too');
$kafka->start;
exact('the broker has come up');
shows('events', "state = 'running' AND error IS NULL", 'streamx.streams says so');

# ---- stopped, killed

$kafka->stop;
shows('events', "state = 'down' AND error <> ''", 'an outage is visible');
others_go_on('stopped');
my $kb = $node->rss_kb($node->worker);
sleep($ENV{STREAMX_LONG} ? 600 : 10);
cmp_ok($node->rss_kb($node->worker), '<', $kb + 8_000, 'an outage does not cost memory, as long as it lasts');
others_go_on('stopped for long');
$node->restart;
others_go_on('stopped, and the server restarted');
$kafka->start;
events(500);
exact('started again');
events(500);
$kafka->kill9;
others_go_on('killed');
$kafka->start;
events(500);
exact('after SIGKILL');

# ---- it hangs

events(500);
$kafka->pause;
my $began = time;
others_go_on('it hangs');
while (time - $began < ($ENV{STREAMX_LONG} ? 31 : 12))
{
	others_go_on('it hangs');
	sleep 2;
}
# what the broker cannot answer now must not hold up the worker's end either
my $stop = time;
$node->restart;
cmp_ok(time - $stop, '<', 45, 'the server restarts in time while the broker hangs');
others_go_on('it hangs, and the server was restarted');
$kafka->resume;
events(500);
exact('after SIGSTOP and SIGCONT');
shows('events', "state = 'running' AND error IS NULL", 'no error is left');

# ---- no such topic, yet

sql(<<'SQL');
CREATE FOREIGN TABLE later (n int) SERVER broker OPTIONS (topic 'later');
CREATE VIEW later_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM later;
SQL
shows('later', "error LIKE '%\"later\"%'", 'a topic that does not exist is visible');
is(sql("SELECT state FROM streamx.views WHERE view = 'later_total'::regclass") =~ /stopped/ ? 'stopped' : 'not stopped',
	'not stopped', 'its view has not stopped');
others_go_on('an unknown topic');
events(10);
exact('an unknown topic beside it');
$kafka->create_topic('later', 1);
$kafka->produce('later', 0, '{"n": 5}');
ok($node->wait_until(q(SELECT (count, sum) = (1, 5) FROM later_total)), 'created later, it is read');
shows('later', "state = 'running' AND error IS NULL", '... and the error is gone');

# ---- options that are wrong

my @wrong = (
	[ q(CREATE SERVER x TYPE 'kafka' FOREIGN DATA WRAPPER streamx), qr/bootstrap_servers/, 'no servers' ],
	[ q(CREATE SERVER x TYPE 'kafak' FOREIGN DATA WRAPPER streamx), qr/kafak/, 'an unknown kind' ],
	[ q(CREATE SERVER x TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_server 'a:1')), qr/bootstrap_servers/, 'an option misspelt' ],
	[ q(CREATE SERVER x TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers 'a:1', "fetch.wait.max.ms" 'soon')), qr/fetch\.wait\.max\.ms/, 'a bad value of librdkafka' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker), qr/topic/, 'no topic' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker OPTIONS (topik 'a')), qr/topic/, 'a stream option misspelt' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker OPTIONS (topic 'a', format 'xml')), qr/json/, 'an unknown format' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker OPTIONS (topic 'a', event_time 'ts')), qr/ts/, 'an event time that is no column' ],
	[ q(CREATE FOREIGN TABLE x (a int OPTIONS (metadata 'ofset')) SERVER broker OPTIONS (topic 'a')), qr/offset/, 'unknown metadata' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker OPTIONS (topic 'a', start 'tomorow')), qr/earliest/, 'a bad start' ],
	[ q(CREATE FOREIGN TABLE x (a int) SERVER broker OPTIONS (topic 'a', watermark 'long')), qr/interval|watermark/, 'a bad interval' ],
);
foreach my $case (@wrong)
{
	my ($statement, $expected, $name) = @$case;
	my $error = $node->error($statement);

	like($error, qr/ERROR/, "refused: $name");
	like($error, $expected, '... with the reason or the cure');
}

# a port where nobody answers, and one that is no broker
my $port = PostgreSQL::Test::Cluster::get_free_port();
sql(<<"SQL");
CREATE SERVER nobody TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:$port');
CREATE SERVER nowhere TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers 'no-such-host.invalid:9092');
CREATE SERVER secure TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap', "security.protocol" 'sasl_plaintext', "sasl.mechanism" 'PLAIN');
CREATE USER MAPPING FOR CURRENT_USER SERVER secure OPTIONS (sasl_username 'u', sasl_password 'the-password');
CREATE FOREIGN TABLE nobody (n int) SERVER nobody OPTIONS (topic 'events');
CREATE FOREIGN TABLE nowhere (n int) SERVER nowhere OPTIONS (topic 'events');
CREATE FOREIGN TABLE secure (n int) SERVER secure OPTIONS (topic 'events');
CREATE VIEW nobody_total WITH (streamx.continuous) AS SELECT count(*) FROM nobody;
CREATE VIEW nowhere_total WITH (streamx.continuous) AS SELECT count(*) FROM nowhere;
CREATE VIEW secure_total WITH (streamx.continuous) AS SELECT count(*) FROM secure;
SQL
shows('nobody', "error LIKE '%127.0.0.1:$port%'", 'nobody listens: visible');
shows('nowhere', "error LIKE '%no-such-host.invalid%'", 'no such host: visible');
shows('secure', "error <> ''", 'a broker that does not speak SASL there: visible');
unlike(sql('SELECT string_agg(error, $$ $$) FROM streamx.streams'), qr/the-password/, 'no error tells a password');
unlike(slurp_file($node->logfile), qr/the-password/, '... nor does the log');
others_go_on('three brokers that are not there');
events(10);
exact('three brokers that are not there');
# mended, it goes on by itself
sql("ALTER SERVER nobody OPTIONS (SET bootstrap_servers '$bootstrap')");
ok($node->wait_until("SELECT count = $sent FROM nobody_total"), 'ALTER SERVER cures it');

is( sql(q(SELECT count(*) FROM streamx.views WHERE state = 'stopped')),
	0, 'no outage has stopped a view');
$node->log_is_clean;
$node->stop;
done_testing();
