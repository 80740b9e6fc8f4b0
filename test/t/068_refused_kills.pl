
# What is refused counts once, too: dead letters of streams and of views, late
# rows that are kept, and streamx.reprocess, while processes are killed at the
# stop points that these go by.  Rows of a view and those that are refused are
# together what came.
#
# STREAMX_TEST_KILLS: how many kills, default 16; with STREAMX_LONG 300.
# STREAMX_TEST_SEED: the seed of places, as printed before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run ();
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use StreamxStops;
use Test::More;
use Time::HiRes qw(time);

my $kills = $ENV{STREAMX_TEST_KILLS} || ($ENV{STREAMX_LONG} ? 300 : 16);
my $seed = $ENV{STREAMX_TEST_SEED} // int(time * 1000) % 1_000_000_007;
my $kafka = StreamxKafka->new;

# as in the kill matrix: a crash takes the last commits of workers back
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'wal_writer_delay = 10s',
	'wal_writer_flush_after = 100MB', 'fsync = off', 'streamx.max_batch_size = 64kB');
my $stops = StreamxStops->new($node);
my $bootstrap = $kafka->bootstrap;
my $next = 0;
my @garbage;

srand($seed);
diag("STREAMX_TEST_SEED=$seed STREAMX_TEST_KILLS=$kills");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- the streams: k and p (by several processes) read a topic, s is native.  The
# domain refuses some rows as they are decoded, the function one view's.

$kafka->create_topic('k', 2);
sql(<<"SQL");
CREATE FUNCTION accept(k int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN k >= 0; END';
CREATE FUNCTION f(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 100 / k; END';
CREATE DOMAIN accepted AS int CHECK (accept(VALUE));
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE k (n int, k accepted, ts timestamptz) SERVER broker
  OPTIONS (topic 'k', event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE FOREIGN TABLE p (n int, k accepted, ts timestamptz) SERVER broker
  OPTIONS (topic 'k', event_time 'ts', watermark '5 s', idle_timeout '0', parallelism '2');
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 day');
CREATE TABLE rows (n int PRIMARY KEY, k int, ts timestamptz, late boolean);
CREATE TABLE garbage (payload text);
SQL
my @streams = qw(k p s);
foreach my $stream (@streams)
{
	sql(<<"SQL");
CREATE VIEW ${stream}_kept WITH (streamx.continuous) AS SELECT n % 7 AS g, count(*), sum(n) FROM $stream GROUP BY 1;
CREATE VIEW ${stream}_quotients WITH (streamx.continuous) AS SELECT n % 5 AS g, count(*), sum(n), sum(f(k)) AS f FROM $stream GROUP BY 1;
CREATE VIEW ${stream}_windows WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM $stream GROUP BY 1;
SQL
	sql("CREATE VIEW ${stream}_each WITH (streamx.continuous) AS SELECT n, f(k) AS f FROM $stream") if $stream ne 'p';
	sql("CREATE VIEW ${stream}_final WITH (streamx.continuous, streamx.emit = 'final', streamx.late = 'keep') AS
		SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM $stream GROUP BY 1") if $stream ne 'p';
}
my @views = split /\n/, sql('SELECT view FROM streamx.views ORDER BY view::text');

# Row n.  The first ones are all in time, so that others are late for sure.
sub row
{
	my ($n) = @_;
	my $late = $n >= 300 && $n % 31 == 7;
	my $s = 7200 + int($n / 10) - ($late ? 3600 : 0);
	my $k = $n % 53 == 5 ? -1 : $n % 29 == 3 ? 0 : 1 + $n % 40;

	return ($n, $k, sprintf('2026-01-%02d %02d:%02d:%02dZ', 1 + $s / 86400, $s / 3600 % 24, $s / 60 % 60, $s % 60), $late ? 1 : 0);
}

# For the topic at once, for the table and the native stream as soon as the server is there.
sub feed
{
	my ($count) = @_;
	my @messages;

	foreach my $n ($next .. $next + ($count // 60) - 1)
	{
		my ($number, $k, $ts) = row($n);

		push @messages, { partition => $n % 2, value => qq({"n": $number, "k": $k, "ts": "$ts"}) };
		next if $n % 43 != 1;
		push @garbage, "garbage $n";
		push @messages, { partition => $n % 2, value => $garbage[-1] };
	}
	$next += $count // 60;
	$kafka->produce('k', 0, @messages);
	insert();
	return;
}

# False: the server is away.
sub insert
{
	my $there = $node->rows('SELECT count(*) FROM rows') // return 0;
	return 1 if $there == $next;
	my $values = join ', ', map { my @row = row($_); "($row[0], $row[1], timestamptz '$row[2]', $row[3] = 1)" } $there .. $next - 1;

	return defined $node->rows("BEGIN; INSERT INTO rows VALUES $values;
		INSERT INTO s SELECT n, k, ts FROM rows WHERE n >= $there ORDER BY n; COMMIT");
}

sub complete
{
	$node->wait_until('SELECT true') or die 'the server is away';
	insert() or die 'no row can be inserted';
	$node->caught_up($_, 120) foreach @views;
	return;
}

# Rows of the view, its dead letters and its late rows, and what it has counted of
# these.  refused: by the domain or the function, before it is mended.
sub check
{
	my ($what, $mended) = @_;
	my @differences;

	complete();
	sql('TRUNCATE garbage; INSERT INTO garbage SELECT unnest(ARRAY[' . join(', ', "''", map { "'$_'" } @garbage) . ']); DELETE FROM garbage WHERE payload = $$$$');
	foreach my $view (@views)
	{
		my ($stream, $kind) = $view =~ /^(\w)_(\w+)$/;
		my $decoded = $mended || $stream eq 's' ? 'true' : 'k >= 0';
		my $taken = !$mended && $kind =~ /quotients|each/ ? "$decoded AND k <> 0" : $decoded;
		my $f = $mended ? 'k' : '100 / NULLIF(k, 0)';
		my $same = sub {
			my ($got, $expected) = @_;
			push @differences, sql("(SELECT '$view has: ' || x FROM (($got) EXCEPT ALL ($expected)) AS x LIMIT 3)
				UNION ALL (SELECT '$view lacks: ' || x FROM (($expected) EXCEPT ALL ($got)) AS x LIMIT 3)");
		};

		if ($kind eq 'kept')
		{
			$same->("TABLE $view", "SELECT n % 7, count(*), sum(n) FROM rows WHERE $taken GROUP BY 1");
		}
		elsif ($kind eq 'quotients')
		{
			# what f gave when a row was taken in is not looked at, but that it was
			$same->("SELECT g, count, sum FROM $view", "SELECT n % 5, count(*), sum(n) FROM rows WHERE $taken GROUP BY 1");
		}
		elsif ($kind eq 'each')
		{
			$same->("SELECT n FROM $view", "SELECT n FROM rows WHERE $taken");
		}
		else
		{
			# A row is in a window, or was late; of the final view's windows those that have closed.
			my $late = "SELECT tumble((row_data ->> 'ts')::timestamptz, '5 s') AS w, (row_data ->> 'n')::int AS n FROM streamx.late_rows WHERE view = '$view'::regclass";
			my $closed = $kind eq 'windows' ? 'true' : "w + interval '5 s' <= (SELECT watermark FROM streamx.views WHERE view = '$view'::regclass)";

			$same->("SELECT w, sum(count), sum(sum) FROM (SELECT w, count, sum FROM $view UNION ALL SELECT w, 1, n FROM ($late) AS l) AS x WHERE $closed GROUP BY 1",
				"SELECT w, count(*), sum(n) FROM (SELECT tumble(ts, '5 s') AS w, n FROM rows WHERE $taken) AS x WHERE $closed GROUP BY 1");
			$same->("SELECT n FROM ($late) AS l", "SELECT n FROM rows WHERE late AND $taken") if !$mended;
			$same->("SELECT rows_late FROM streamx.views WHERE view = '$view'::regclass", "SELECT count(*) FROM ($late) AS l");
		}
		# of the view
		$same->("SELECT (convert_from(payload, 'UTF8')::jsonb ->> 'n')::int FROM streamx.dead_letters WHERE view = '$view'::regclass",
			"SELECT n FROM rows WHERE $decoded AND NOT ($taken)");
		# which also counts what did not decode
		$same->("SELECT dead_letters FROM streamx.views WHERE view = '$view'::regclass",
			"SELECT count(*) + " . ($stream eq 's' ? 0 : scalar @garbage) . " FROM rows WHERE NOT ($taken)") if !$mended;
	}
	foreach my $stream (qw(k p))
	{
		my $got = "SELECT convert_from(payload, 'UTF8') FROM streamx.dead_letters WHERE stream = '$stream'::regclass AND view IS NULL";

		push @differences, sql("(SELECT '$stream has: ' || x FROM (($got AND payload ~~ 'garbage%'::bytea) EXCEPT ALL (TABLE garbage)) AS x LIMIT 3)
			UNION ALL (SELECT '$stream lacks: ' || x FROM ((TABLE garbage) EXCEPT ALL ($got)) AS x LIMIT 3)");
		my $refused = $mended ? 'false' : 'k < 0';
		$got = "SELECT (convert_from(payload, 'UTF8')::jsonb ->> 'n')::int FROM streamx.dead_letters
			WHERE stream = '$stream'::regclass AND view IS NULL AND payload !~~ 'garbage%'::bytea";
		push @differences, sql("(SELECT '$stream has: ' || x FROM (($got) EXCEPT ALL (SELECT n FROM rows WHERE $refused)) AS x LIMIT 3)
			UNION ALL (SELECT '$stream lacks: ' || x FROM ((SELECT n FROM rows WHERE $refused) EXCEPT ALL ($got)) AS x LIMIT 3)");
	}
	push @differences, sql('SELECT $$twice: $$ || stream || $$ $$ || coalesce(view::text, $$-$$) || $$ $$ || partition || $$ $$ || position
		FROM streamx.dead_letters GROUP BY stream, view, partition, position HAVING count(*) > 1 LIMIT 3');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join("\n", grep { $_ ne '' } @differences), '', $what) || do { diag($node->situation); 0 };
}

feed(300);
complete();
feed(120);
check('before') or diag('nothing has been killed yet');

# ---- kills while rows are taken in and refused

my %place = (
	after_decode => [qw(k p)],
	take => [qw(k s)],
	before_execute => \@views,
	before_merge => [ grep { !/^p/ } @views ],
	after_merge => [ grep { !/^p/ } @views ],
	before_close => [qw(k_final s_final)],
	before_progress => \@views,
	after_progress => \@views,
	before_commit => \@streams,
	in_commit => ['worker'],
	after_record => ['worker'],
	after_commit => \@streams,
);
my @plan;
while ($stops->strikes < $kills)
{
	@plan = shuffle(sort keys %place) if !@plan;
	my $point = shift @plan;
	my $object = $place{$point}[ rand @{ $place{$point} } ];
	my $victim = (qw(self self postmaster immediate))[ rand 4 ];
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my $pid;

	note "$victim at $point of $object";
	$stops->arm($point, $victim eq 'postmaster' && rand() < 0.5 ? 'orphan' : 'wait', $object, int(rand(4)));
	do
	{
		feed();
		$pid = $stops->reached($point, 0.7);
	} while (!$pid && time < $end);
	if (!$pid)
	{
		fail("nobody comes by $point of $object");
		$stops->disarm($point);
		last;
	}
	$victim eq 'self' ? $stops->strike('self', $pid) : $stops->strike($victim);
	complete();
	next if $stops->strikes % 8 != 0;
	check('after ' . $stops->strikes . ' kills') or last;
}
check('after all kills');

# ---- streamx.reprocess, killed: all or nothing, while rows come

sql(q(CREATE OR REPLACE FUNCTION f(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN k; END';
	CREATE OR REPLACE FUNCTION accept(k int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END'));
my $curable = q(SELECT count(*) FROM streamx.dead_letters WHERE payload !~~ 'garbage%'::bytea);
my $many = sql($curable);
cmp_ok($many, '>', 20, "$many dead letters to be fed in again");
foreach my $way ([ 'in_commit', 'session', 'self' ], [ 'in_commit', 'session', 'postmaster' ],
	[ 'in_commit', 'session', 'immediate' ], [ 'after_record', 'session', 'self' ], [ 'in_commit', 'session', '-' ])
{
	my ($point, $object, $victim) = @$way;
	my $stream = $point eq 'after_record' ? 'k' : $victim eq '-' ? 'p' : 's';
	my $call = "SELECT streamx.reprocess('$stream')";
	my $before = sql($curable =~ s/WHERE/WHERE stream = '$stream'::regclass AND/r);
	my ($run, $pid);

	$stops->arm($point, 'wait', $object);
	$run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $call ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	$pid = $stops->reached($point);
	ok($pid, "reprocess of $stream stands $point") or last;
	# rows for the topic; the views wait for the statement
	my $from = $next;
	$next += 40;
	$kafka->produce('k', 0, map { my ($n, $k, $ts) = row($_); { partition => $_ % 2, value => qq({"n": $n, "k": $k, "ts": "$ts"}) } } $from .. $next - 1);
	if ($victim eq '-')
	{
		# a worker dies, which takes the session along
		$stops->strike('worker');
	}
	else
	{
		$victim eq 'self' ? $stops->strike('self', $pid) : $stops->strike($victim);
	}
	$run->finish;
	$node->wait_until('SELECT true');
	insert() or die 'no row can be inserted';
	is(sql($curable =~ s/WHERE/WHERE stream = '$stream'::regclass AND/r), $point eq 'after_record' ? 0 : $before,
		"reprocess of $stream, killed $point with $victim: " . ($point eq 'after_record' ? 'done' : 'not done'));
}
complete();
sql('SELECT streamx.reprocess()');
check('fed in again', 1);
is(sql($curable), 0, 'none is left but those that nothing can cure');
is(sql('SELECT count(*) FROM streamx.dead_letters'), 2 * @garbage, 'which are there, of each stream');
sql('SELECT streamx.reprocess()');
check('and once more', 1);
feed();
check('it goes on', 1);

is(sql(q(SELECT count(*) FROM streamx.views WHERE state <> 'running')), 0, 'all views run');
diag(sprintf '%d kills, %d rows, %d refused by a stream or a view, seed %d', $stops->strikes, $next, $many + 2 * @garbage, $seed);
$node->log_is_clean($stops->killed);
$node->stop;
done_testing();
