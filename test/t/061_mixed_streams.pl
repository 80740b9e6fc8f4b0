
# Views over a Kafka topic together with tables, native streams and sockets: a
# history table up to an offset and the topic from there on, kinds mixed, kills.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(usleep);

my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $bootstrap = $kafka->bootstrap;
my $netcat = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp')
  or die "cannot listen: $!";
my $port = $netcat->sockport;
my $client;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub accept_client
{
	$netcat->timeout(30);
	$client = $netcat->accept or die 'nobody connects';
	$client->autoflush(1);
	return;
}

$kafka->create_topic('events', 2);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE SERVER netcat TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host '127.0.0.1', port '$port');
CREATE FOREIGN TABLE events (n bigint, k int, ts timestamptz,
  part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE FOREIGN TABLE native (n bigint, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0', retain '1 day');
CREATE FOREIGN TABLE wire (n bigint, k int, ts timestamptz) SERVER netcat
  OPTIONS (format 'csv', event_time 'ts', watermark '0 s', idle_timeout '0', retain '1 day');
-- what was sent, by whom
CREATE TABLE sent (way text, part int, pos bigint, n bigint, k int, ts timestamptz);
CREATE TABLE history (part int, pos bigint, n bigint, k int, ts timestamptz);
SQL

my $next = 0;
my @pos = (0, 0);

# So many events each way, in the order of their times.
sub send_all
{
	my ($n, @ways) = @_;
	my @messages;
	my @lines;
	my $copy = "COPY sent FROM STDIN;\n";
	my $native = "COPY native FROM STDIN;\n";

	foreach my $i ($next .. $next + $n - 1)
	{
		my $k = $i % 17;
		my $ts = sprintf '2026-03-01 %02d:%02d:%02dZ', ($i / 3600) % 24, ($i / 60) % 60, $i % 60;

		foreach my $way (@ways)
		{
			my ($part, $pos) = ('\N', '\N');

			if ($way eq 'kafka')
			{
				$part = $i % 2;
				$pos = $pos[$part]++;
				push @messages, { partition => $part, value => qq({"n": $i, "k": $k, "ts": "$ts"}) };
			}
			elsif ($way eq 'native')
			{
				$native .= "$i\t$k\t$ts\n";
			}
			else
			{
				push @lines, "$i,$k,$ts\n";
			}
			$copy .= "$way\t$part\t$pos\t$i\t$k\t$ts\n";
		}
	}
	$next += $n;
	$kafka->produce('events', 0, @messages) if @messages;
	print $client $_ foreach @lines;
	sql("BEGIN;\n$copy\\.\n$native\\.\nCOMMIT;");
	return;
}

my $by_way = 'SELECT way, k, count(*), sum(n) FROM %s GROUP BY way, k';
my $by_minute = "SELECT tumble(ts, '1 minute') AS w, count(*), sum(n) FROM %s GROUP BY w";

# What came by the socket is journalled, but not at once.
sub arrived
{
	my $lines = sql(q(SELECT count(*) FROM sent WHERE way = 'socket'));

	return $node->wait_until("SELECT coalesce(sum(count), 0) = $lines FROM mixed WHERE way = 'socket'");
}

sub all_are_right
{
	my ($when) = @_;

	foreach my $view (qw(mixed from_offset total))
	{
		$node->caught_up($view);
	}
	$node->same('TABLE mixed', sprintf($by_way, 'sent'), "all kinds mixed $when");
	$node->same('TABLE from_offset',
		"SELECT k, count(*), sum(n), count(DISTINCT n) AS ns FROM sent WHERE way = 'kafka' GROUP BY k",
		"history, then the topic from an offset $when");
	$node->same('TABLE total', 'SELECT count(*), sum(n) FROM sent WHERE way <> $$socket$$',
		"without groups $when");
	is(sql(q(SELECT count(*) FROM streamx.views v, streamx.verify(v.view) WHERE v.view <> 'closed'::regclass)),
		0, "verified $when");
	return;
}

# ---- the topic up to an offset is in a table

send_all(1000, 'kafka');
sql(q(INSERT INTO history SELECT part, pos, n, k, ts FROM sent WHERE pos < 300));
my $union = q((SELECT 'kafka' AS way, n, k, ts FROM events UNION ALL SELECT 'native', n, k, ts FROM native
	UNION ALL SELECT 'socket', n, k, ts FROM wire) u);
sql(q(CREATE VIEW from_offset WITH (streamx.continuous) AS
  SELECT k, count(*), sum(n), count(DISTINCT n) AS ns
  FROM (SELECT k, n FROM history UNION ALL SELECT k, n FROM events WHERE pos >= 300) u GROUP BY k;
CREATE VIEW total WITH (streamx.continuous) AS
  SELECT count(*), sum(n) FROM (SELECT n FROM history UNION ALL SELECT n FROM events WHERE pos >= 300
    UNION ALL SELECT n FROM native) u;
CREATE VIEW mixed WITH (streamx.continuous) AS ) . sprintf($by_way, $union) . q(;
CREATE VIEW closed WITH (streamx.continuous, streamx.emit = 'final') AS ) . sprintf($by_minute, $union));
accept_client();
all_are_right('at first');

# ---- all ways at once; the last window is closed by nobody

send_all(500, qw(kafka native socket));
ok(arrived(), 'the socket has been read');
all_are_right('after some of each');
$node->caught_up('closed');
my $open = sql(q(SELECT date_trunc('minute', max(ts)) FROM sent));
$node->same('TABLE closed', sprintf($by_minute, "(SELECT * FROM sent WHERE ts < '$open') s"),
	'windows that the least watermark has closed');

# one stream is ahead: it closes nothing
send_all(500, 'kafka');
$node->caught_up('closed');
is(sql(q(SELECT count(*) FROM closed) . " WHERE w >= '$open'"), 0, 'one stream alone closes no window');
all_are_right('with one stream ahead');
send_all(300, qw(native socket));
ok(arrived(), 'the socket has been read');

# ---- paused, restarted, killed

sql(q(SELECT streamx.pause(view) FROM streamx.views));
send_all(400, qw(kafka native));
sql(q(SELECT streamx.resume(view) FROM streamx.views));
all_are_right('after a pause');
foreach my $round (1 .. 3)
{
	close $client;
	accept_client();
	send_all(600, qw(kafka native socket));
	ok(arrived(), 'the socket has been read');
	send_all(2000, qw(kafka native));
	$node->interrupt($round == 1 ? 'fast' : 'postmaster');
	accept_client();
	all_are_right("after an interruption in round $round");
}
$node->caught_up('closed');
is(sql('SELECT count(*) FROM (SELECT w FROM closed GROUP BY w HAVING count(*) > 1) x'), 0, 'each window closed once');
is(sql(q(SELECT count(*) FROM closed c JOIN (SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM sent GROUP BY 1) s USING (w)
	WHERE c.count <> s.n)), 0, 'and was complete');
is(sql(q(SELECT rows_late FROM streamx.views WHERE view = 'closed'::regclass)), 0, 'no row was late');

# ---- the broker goes and comes: the other streams go on

$kafka->kill9;
send_all(200, 'native');
ok($node->wait_until(q(SELECT coalesce(sum(count), 0) = (SELECT count(*) FROM sent WHERE way = 'native')
	FROM mixed WHERE way = 'native')), 'the native stream goes on without the broker');
$kafka->start;
send_all(200, qw(kafka native));
all_are_right('with the broker back');

$node->log_is_clean;
done_testing();
