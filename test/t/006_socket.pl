
# Lines over TCP: connect and listen, several clients, the formats, and what
# was taken in stays through restarts and crashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

# what is not flushed as it is committed stays unwritten for as long as can be
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'wal_writer_delay = 10s');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- the server's end: what a stream in mode connect connects to

sub listener
{
	return IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp', ReuseAddr => 1)
	  || die "cannot listen: $!";
}

sub accepted
{
	my ($listener) = @_;

	# one that was ended before we took it is passed over
	while (IO::Select->new($listener)->can_read(30))
	{
		my $connection = $listener->accept or die "cannot accept: $!";

		$connection->autoflush(1);
		return $connection unless IO::Select->new($connection)->can_read(0.2);
		note 'a connection that was given up';
	}
	die 'nobody connects';
}

# ---- the client's end, for mode listen

sub connected
{
	my ($port) = @_;
	my $end = time + 30;

	while (time < $end)
	{
		my $connection = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp');

		return $connection if $connection;
		usleep(50_000);
	}
	die "nobody listens on port $port";
}

sub holds
{
	my ($query, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->wait_until("SELECT ($query)::text = \$\$$expected\$\$");
	return is(sql($query), $expected, $name);
}

# ---- word count, connecting to a server

my $netcat = listener();
my $port = $netcat->sockport;
sql(<<"SQL");
CREATE SERVER netcat TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host 'localhost', port '$port');
CREATE FOREIGN TABLE lines (line text) SERVER netcat OPTIONS (format 'text', retain '1 hour');
CREATE VIEW word_count WITH (streamx.continuous) AS
SELECT word, count(*) FROM lines, regexp_split_to_table(lower(line), '\\W+') AS word GROUP BY word;
CREATE VIEW split_count WITH (streamx.continuous) AS
SELECT word, count(*) FROM lines, string_to_table(line, ' ') AS word GROUP BY word;
SQL
my $client = accepted($netcat);
print $client "to be or not to be\nthat is the question\n";
print $client "To be, too\r\n";
my $words = q(SELECT string_agg(word || ':' || count, ' ' ORDER BY word COLLATE "C") FROM word_count);
holds($words, 'be:3 is:1 not:1 or:1 question:1 that:1 the:1 to:3 too:1', 'word count');
holds(q(SELECT string_agg(word || ':' || count, ' ' ORDER BY word COLLATE "C") FROM split_count),
	'To:1 be:2 be,:1 is:1 not:1 or:1 question:1 that:1 the:1 to:2 too:1', 'a second view of the same lines');
is(sql(q(SELECT streamx.wait('word_count'))), 't', 'streamx.wait');
ok($node->wait_until(q(SELECT state = 'running' AND rows_in = 3 FROM streamx.streams WHERE stream = 'lines'::regclass)), 'streamx.streams');
like($node->error('SELECT * FROM lines'), qr/HINT/, 'SELECT is refused with a hint');
like($node->error(q(INSERT INTO lines VALUES ('x'))), qr/ERROR/, '... and so is INSERT');

# a line in pieces, and one that is never finished
print $client 'pie';
usleep(400_000);
print $client "ces of a line\nunfin";
usleep(100_000);
print $client 'ished';
holds(q(SELECT count FROM word_count WHERE word = 'pieces'), 1, 'a line that came in pieces');
is(sql(q(SELECT count(*) FROM word_count WHERE word = 'unfinished')), 0, 'a line is none before its end');
close $client;
holds(q(SELECT count FROM word_count WHERE word = 'unfinished'), 1, '... which the end of its connection is, too');
$client = accepted($netcat);
pass('it connects again');

# a view created later
sql(q(CREATE VIEW later WITH (streamx.continuous) AS SELECT count(*) FROM lines;
	CREATE VIEW all_lines WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT count(*) FROM lines));
ok($node->wait_until(q(SELECT count = 5 FROM all_lines)), 'start earliest: what is kept');
is(sql('SELECT count FROM later'), 0, 'a view created later begins where it was created');
print $client "one more\n";
holds('SELECT count FROM later', 1, '... and goes on');
holds('SELECT count FROM all_lines', 6, 'both go on');

# ---- what was taken in stays

my $lines = 6;
sub send_lines
{
	my ($n) = @_;

	print $client map { "line $_\n" } 1 .. $n;
	$lines += $n;
	ok($node->wait_until("SELECT count = $lines FROM all_lines"), "$n lines arrive");
	return;
}

sub stays
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	close $client;
	$client = accepted($netcat);
	$node->caught_up('all_lines');
	$node->caught_up('word_count');
	is(sql('SELECT count FROM all_lines'), $lines, "$when: every line counts once");
	is(sql(q(SELECT count FROM word_count WHERE word = 'line')), $lines - 5, '... in the other view too');
	return;
}

send_lines(5000);
$node->restart;
stays('after a restart');
foreach my $i (1 .. 3)
{
	send_lines(3000);
	send_lines(1);
	$node->interrupt('immediate');
	stays("stop -m immediate $i");

	send_lines(3000);
	$node->interrupt('worker');
	stays("kill -9 of the worker $i");
}
send_lines(20000);
is(sql(q(SELECT difference FROM streamx.verify('all_lines'))), '', 'streamx.verify finds no difference in what is retained');

# ---- the server goes away, and comes back

close $client;
close $netcat;
ok($node->wait_until(q(SELECT state = 'down' AND error <> '' FROM streamx.streams WHERE stream = 'lines'::regclass)),
	'a server that is gone is visible');
$netcat = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', ReuseAddr => 1)
  or die "cannot listen again: $!";
$client = accepted($netcat);
send_lines(10);
ok($node->wait_until(q(SELECT state = 'running' AND error IS NULL FROM streamx.streams WHERE stream = 'lines'::regclass)),
	'... until it is back');

# ---- listening, several clients at once, csv

my $listen = PostgreSQL::Test::Cluster::get_free_port();
sql(<<"SQL");
CREATE SERVER sensors TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$listen', mode 'listen');
CREATE FOREIGN TABLE readings (client int, n int, note text, x numeric) SERVER sensors OPTIONS (format 'csv');
CREATE VIEW per_client WITH (streamx.continuous) AS SELECT client, count(*), sum(n), sum(x) AS sum_x, max(note) AS note FROM readings GROUP BY client;
SQL
my @clients = map { connected($listen) } 1 .. 5;
foreach my $n (1 .. 400)
{
	foreach my $i (0 .. $#clients)
	{
		my $end = $n % 2 ? "\n" : "\r\n";
		my $text = "$i,$n,\"a, \"\"b\"\"\",$n.25$end";
		my $cut = $n % length $text;

		# in two pieces, so that those of the clients are mixed
		$clients[$i]->syswrite(substr $text, 0, $cut) if $cut;
		$clients[$i]->syswrite(substr $text, $cut);
	}
}
# the last one without its end
$clients[4]->syswrite('4,401,,');
close $_ foreach @clients;
holds(q(SELECT string_agg(client || ' ' || count || ' ' || sum || ' ' || sum_x || ' ' || note, '; ' ORDER BY client) FROM per_client),
	join('; ', (map { qq($_ 400 80200 80300.00 a, "b") } 0 .. 3), '4 401 80601 80300.00 a, "b"'),
	'five clients at once, csv, CRLF, an unfinished last line');

my ($local) = map { /^\s*\d+: ([0-9A-F]+):/ } grep { sprintf(':%04X 00000000:0000 0A', $listen) eq ($_ =~ /(:[0-9A-F]{4} 00000000:0000 0A)/ ? $1 : '') }
  split /\n/, slurp_file('/proc/net/tcp');
is($local, '0100007F', 'it listens on the loopback interface alone');

my $sensor = connected($listen);
print $sensor "9,1,,1\n";
$sensor->flush;
holds('SELECT count FROM per_client WHERE client = 9', 1, 'a client later');
$node->restart;
close $client;
$client = accepted($netcat);
$sensor = connected($listen);
print $sensor "9,2,,1\nnot a number,2,,1\n9,3,,1\n";
$sensor->flush;
holds('SELECT count FROM per_client WHERE client = 9', 3, 'it listens again after a restart');
holds(q(SELECT convert_from(payload, 'UTF8') || ' ' || sqlstate FROM streamx.dead_letters WHERE stream = 'readings'::regclass),
	'not a number,2,,1 22P02', 'a line that is no row is a dead letter');

# a port that is taken
sql(<<"SQL");
CREATE SERVER taken TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$port', mode 'listen');
CREATE FOREIGN TABLE taken (line text) SERVER taken OPTIONS (format 'text');
CREATE VIEW taken_total WITH (streamx.continuous) AS SELECT count(*) FROM taken;
SQL
ok($node->wait_until(q(SELECT error <> '' FROM streamx.streams WHERE stream = 'taken'::regclass)), 'a port that is taken is visible');
print $sensor "9,4,,1\n";
$sensor->flush;
holds('SELECT count FROM per_client WHERE client = 9', 4, '... and the others go on');

# ---- a host with several addresses, of which one answers

my $loopback = listener();
my $loopback_port = $loopback->sockport;
sql(<<"SQL");
CREATE SERVER loopback TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$loopback_port');
CREATE FOREIGN TABLE loopback (line text) SERVER loopback OPTIONS (format 'text');
CREATE VIEW loopback_total WITH (streamx.continuous) AS SELECT count(*) FROM loopback;
SQL
my $peer = accepted($loopback);
print $peer "x\n";
holds('SELECT count FROM loopback_total', 1, 'of several addresses the one that answers is taken');

# ---- somebody else's DDL

sql(q(CREATE SERVER other TYPE 'generator' FOREIGN DATA WRAPPER streamx; CREATE USER MAPPING FOR CURRENT_USER SERVER other;
	CREATE TABLE other (a int); VACUUM FULL other; DROP VIEW later));
print $peer "y\n";
print $client "y\n";
$lines++;
print $sensor "9,5,,1\n";
$sensor->flush;
holds('SELECT count FROM loopback_total', 2, 'a connection survives DDL that is not about it');
holds('SELECT count FROM all_lines', $lines, '... to a server');
holds('SELECT count FROM per_client WHERE client = 9', 5, '... from a client');

# ---- JSON

my $json_port = PostgreSQL::Test::Cluster::get_free_port();
sql(<<"SQL");
CREATE SERVER json TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host '127.0.0.1', port '$json_port', mode 'listen');
CREATE FOREIGN TABLE events (ts timestamptz, page text, doc jsonb OPTIONS (path '')) SERVER json
  OPTIONS (format 'json', event_time 'ts', watermark '1 second');
CREATE VIEW pages WITH (streamx.continuous) AS SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum((doc->>'x')::int) FROM events GROUP BY minute, page;
SQL
my $json = connected($json_port);
print $json map { sprintf qq({"ts": "2026-01-01T00:%02d:00Z", "page": "p%d", "x": %d}\n), $_ / 60, $_ % 2, $_ } 0 .. 599;
print $json "{broken\n\n" . qq({"ts": "2026-01-01T00:00:00Z", "page": "last", "x": 1});
close $json;
ok($node->wait_until(q(SELECT count(*) = 1 FROM pages WHERE page = 'last')), 'JSON lines');
is(sql(q(SELECT count(*), sum(count), sum(sum) FROM pages)), '21|601|179701', '... each counts');
is(sql(q(SELECT string_agg(encode(payload, 'escape'), ',' ORDER BY position) FROM streamx.dead_letters WHERE stream = 'events'::regclass)),
	'{broken,', '... but for what is none');

$node->log_is_clean;
$node->stop;
done_testing();
