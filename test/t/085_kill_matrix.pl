
# Exactly once, whatever dies wherever: worker, scheduler, launcher and
# postmaster are killed, and the server is stopped immediately, while a process
# stands at each of the stop points (src/base/stop.h).  Streams and views of all
# kinds are in one server; after recovery each view equals the batch query.
# A stop point of the sources that is not visited here fails the test.
#
# STREAMX_TEST_KILLS: how many kills, default 200; with STREAMX_LONG 2,000.
# STREAMX_TEST_SEED: the seed of places and objects, as printed before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Socket::INET;
use IPC::Run ();
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use StreamxStops;
use Test::More;
use Time::HiRes qw(time usleep);

my $kills = $ENV{STREAMX_TEST_KILLS} || ($ENV{STREAMX_LONG} ? 2_000 : 200);
my $seed = $ENV{STREAMX_TEST_SEED} // int(time * 1000) % 1_000_000_007;
my $check_every = 20;
my $port = PostgreSQL::Test::Cluster::get_free_port();

my $kafka = StreamxKafka->new;

# commits of workers reach the disk late: a crash takes the last ones back
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'wal_writer_delay = 10s',
	'wal_writer_flush_after = 100MB', 'autovacuum_naptime = 5s', 'fsync = off',
	'streamx.max_batch_size = 64kB');
my $stops = StreamxStops->new($node);
my $bootstrap = $kafka->bootstrap;

srand($seed);
diag("STREAMX_TEST_SEED=$seed STREAMX_TEST_KILLS=$kills");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- the streams: Kafka, native, a socket on which lines come; all get the same kind of rows.
# Of b, which several threads decode, many come at once: batches of several rounds.
# Of p, with the same rows, several processes read and fold their shares.

$kafka->create_topic('k', 2);
$kafka->create_topic('b', 2);
$kafka->create_topic('out', 1);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE SERVER sensors TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$port', mode 'listen');
CREATE FOREIGN TABLE k (n int, k int, ts timestamptz) SERVER broker
  OPTIONS (topic 'k', format 'csv', event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE FOREIGN TABLE b (n int, k int, ts timestamptz) SERVER broker
  OPTIONS (topic 'b', format 'csv', event_time 'ts', watermark '5 s', idle_timeout '0', decode_threads '3');
CREATE FOREIGN TABLE p (n int, k int, ts timestamptz) SERVER broker
  OPTIONS (topic 'b', format 'csv', event_time 'ts', watermark '5 s', idle_timeout '0', parallelism '2');
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 day');
CREATE FOREIGN TABLE short (n int, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '0.1 s');
CREATE FOREIGN TABLE l (n int, k int, ts timestamptz) SERVER sensors
  OPTIONS (format 'csv', event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE FOREIGN TABLE out (n int, k int) SERVER broker OPTIONS (topic 'out');
CREATE TABLE rows (n int PRIMARY KEY, k int, ts timestamptz);
CREATE TABLE bulk (n int PRIMARY KEY, k int, ts timestamptz);
-- for the batch queries that join: without it they take a time that grows as its square
CREATE INDEX ON rows (k, ts);

-- row n, in each of the streams
CREATE FUNCTION row_no(n bigint, OUT n int, OUT k int, OUT ts timestamptz) LANGUAGE sql IMMUTABLE AS \$\$
  SELECT n::int, (n * 37 % 41)::int, timestamptz '2026-01-01Z' + n * interval '100 ms' + (n * 7919 % 3989) * interval '1001 us'
\$\$;
-- in one transaction, as far as they are not there
CREATE FUNCTION insert_upto(upto int) RETURNS int LANGUAGE plpgsql AS \$\$
DECLARE
  first int := (SELECT coalesce(max(r.n) + 1, 0) FROM rows AS r);
BEGIN
  INSERT INTO rows SELECT (row_no(i)).* FROM generate_series(first, upto - 1) AS i;
  INSERT INTO s SELECT * FROM rows AS r WHERE r.n >= first ORDER BY r.n;
  INSERT INTO short SELECT * FROM rows AS r WHERE r.n >= first ORDER BY r.n;
  RETURN first;
END \$\$;
SQL

# ---- the views: {s} is a stream, or all of its rows in a table

my %per_stream = (
	each  => ['', 'SELECT n, k * 2 AS k2 FROM {s}'],
	total => ['', 'SELECT count(*), sum(n), avg(k), max(ts) FROM {s}'],
	kept  => ['', 'SELECT k, count(*), sum(n), avg(n), stddev_samp(n::numeric), min(ts) FROM {s} GROUP BY k'],
	tumbled => [", streamx.final_column = 'closed'",
		"SELECT tumble(ts, '5 s') AS w, k % 5 AS g, count(*), sum(n) FROM {s} GROUP BY 1, 2"],
	recomputed => ['', "SELECT tumble(ts, '20 s') AS w, count(DISTINCT k) AS ks, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM {s} GROUP BY 1"],
	final => [", streamx.emit = 'final'",
		"SELECT tumble(ts, '5 s') AS w, k % 5 AS g, count(*), sum(n) FROM {s} GROUP BY 1, 2"],
	final_held => [", streamx.emit = 'final'",
		"SELECT tumble(ts, '5 s') AS w, count(DISTINCT k) AS ks, array_agg(n ORDER BY n) AS ns FROM {s} GROUP BY 1"],
);
my $on = 'a.k = b.k AND b.ts BETWEEN a.ts - interval \'1 s\' AND a.ts + interval \'2 s\'';
my %view;    # name -> options, query over streams, query over tables, what a window's end is
foreach my $name (sort keys %per_stream)
{
	my ($options, $query) = @{ $per_stream{$name} };

	foreach my $stream (qw(k s l))
	{
		$view{"${stream}_$name"} = [ $options, $query =~ s/\{s\}/$stream/r, $query =~ s/\{s\}/rows/r ];
	}
}
$view{hopped} = [", streamx.emit = 'final'", "SELECT hop(ts, '5 s', '15 s') AS w, count(*), sum(n) FROM s GROUP BY 1",
	"SELECT hop(ts, '5 s', '15 s') AS w, count(*), sum(n) FROM rows GROUP BY 1", '15 s'];
$view{b_some} = ['', 'SELECT n, k FROM b WHERE n % 50 = 0'];
$view{b_kept} = $per_stream{kept};
$view{b_final} = [", streamx.emit = 'final'", "SELECT tumble(ts, '1 min') AS w, count(*), sum(n), max(n) FROM b GROUP BY 1", undef, '1 min'];
$view{b_ks} = ['', 'SELECT k % 10 AS k, count(DISTINCT k) AS ks, count(*) FROM b GROUP BY 1'];
$view{p_kept} = $per_stream{kept};
$view{p_tumbled} = ['', "SELECT tumble(ts, '1 min') AS w, count(*), sum(n), max(n) FROM b GROUP BY 1"];
foreach my $name (qw(b_some b_kept b_final b_ks p_kept p_tumbled))
{
	my ($options, $query, undef, $size) = @{ $view{$name} };

	my $stream = substr $name, 0, 1;

	$view{$name} = [ $options, $query =~ s/FROM (?:b|\{s\})/FROM $stream/r, $query =~ s/FROM (?:b|\{s\})/FROM bulk/r, $size ];
}
$view{retained} = [", streamx.retention = '60 s'", "SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM s GROUP BY 1",
	"SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM rows GROUP BY 1"];
$view{trimmed} = ['', 'SELECT n FROM short', 'SELECT n FROM rows'];
$view{sent} = [", streamx.sink = 'out'", 'SELECT n, k FROM s WHERE n % 10 = 0', 'SELECT n, k FROM rows WHERE n % 10 = 0'];
$view{pairs_ks} = ['', "SELECT a.n AS a, b.n AS b FROM k AS a JOIN s AS b ON $on", "SELECT a.n AS a, b.n AS b FROM rows AS a JOIN rows AS b ON $on"];
$view{pairs_sl} = ['', "SELECT a.k, count(*), sum(b.n) FROM s AS a JOIN l AS b ON $on GROUP BY a.k",
	"SELECT a.k, count(*), sum(b.n) FROM rows AS a JOIN rows AS b ON $on GROUP BY a.k"];
$view{partners} = ['', "SELECT a.n AS a, b.n AS b FROM s AS a LEFT JOIN k AS b ON $on AND b.n % 3 = 0",
	"SELECT a.n AS a, b.n AS b FROM rows AS a LEFT JOIN rows AS b ON $on AND b.n % 3 = 0
	 WHERE b.n IS NOT NULL OR a.ts + interval '2 s' < {wm}"];
$view{ranked} = ['', "SELECT w, k, c, rn FROM (SELECT w, k, c, row_number() OVER (PARTITION BY w ORDER BY c DESC, k) AS rn
	FROM (SELECT date_trunc('minute', ts) AS w, k, count(*) AS c FROM s GROUP BY 1, 2) x) y WHERE rn <= 3"];
$view{ranked_final} = [", streamx.emit = 'final'", "SELECT w, k, c, rn FROM (SELECT w, k, c, row_number() OVER (PARTITION BY w ORDER BY c DESC, k) AS rn
	FROM (SELECT tumble(ts, '5 s') AS w, k, count(*) AS c FROM s GROUP BY 1, 2) x) y WHERE rn <= 3"];
$view{visits} = ['', "SELECT k, session(ts, '5 s') AS w, count(*), sum(n) FROM s WHERE k % 8 = 1 GROUP BY 1, 2"];
foreach my $name (qw(ranked ranked_final visits))
{
	push @{ $view{$name} }, $view{$name}[1] =~ s/FROM s /FROM rows /r;
}
my @views = sort keys %view;
foreach my $name (@views)
{
	sql("CREATE VIEW $name WITH (streamx.continuous$view{$name}[0]) AS $view{$name}[1]");
}
# over another view
sql('CREATE VIEW folded WITH (streamx.continuous) AS SELECT count(*) AS ks, sum(count), max(sum) FROM s_kept');
$view{folded} = ['', undef, 'SELECT count(*) AS ks, sum(count), max(sum) FROM (SELECT k, count(*), sum(n) FROM rows GROUP BY k) AS x'];
push @views, 'folded';

# ---- rows

my $next = 0;
my $rows_at_once = 40;
my $next_bulk = 0;
my $line = 0;     # next row that is to go over the socket
my $socket;
my $producer = $kafka->producer('k');

sub row
{
	my ($n) = @_;
	my $us = $n * 100_000 + ($n * 7919 % 3989) * 1001;
	my $s = int($us / 1_000_000);
	return sprintf '%d,%d,2026-01-%02d %02d:%02d:%02d.%06dZ', $n, $n * 37 % 41,
	  $s / 86400 + 1, $s / 3600 % 24, $s / 60 % 60, $s % 60, $us % 1_000_000;
}

# lines that have not been sent
sub send_lines
{
	local $SIG{PIPE} = 'IGNORE';

	$socket //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp') or return;
	my $lines = join '', map { row($_) . "\n" } $line .. $next - 1;
	if ((syswrite($socket, $lines) // 0) == length $lines)
	{
		$line = $next;
	}
	else
	{
		undef $socket;
	}
	return;
}

# some rows for each stream; the server may go at any moment
sub feed
{
	$next += $rows_at_once;
	$node->rows("SELECT insert_upto($next)");
	$producer->send(-1, map { row($_) } $next - $rows_at_once .. $next - 1);
	send_lines();
	return;
}

# Many rows at once, for stream b.
sub feed_bulk
{
	my ($n) = @_;

	$kafka->produce('b', -1, map { row($_) } $next_bulk .. $next_bulk + $n - 1);
	$next_bulk += $n;
	return;
}

# The server has been away: what has not come to it comes now.  What a socket
# has got and what it has taken in are two things: the client asks.
sub complete
{
	undef $socket;
	$node->wait_until("SELECT insert_upto($next) IS NOT NULL") or return 0;
	$node->caught_up('l_each');
	$line = sql('SELECT coalesce(max(n) + 1, 0) FROM l_each');
	is(sql('SELECT count(*) FROM l_each'), $line, 'the lines that are there are the first ones');
	return 1;
}

# ---- what has become of it: each view equals its query over all rows

sub difference
{
	my ($name) = @_;
	my $wm = "(SELECT watermark FROM streamx.views WHERE view = '$name'::regclass)";
	my ($options, undef, $query, $size) = @{ $view{$name} };
	my $got = "TABLE $name";

	$size //= '5 s';
	$query =~ s/\{wm\}/$wm/;
	$query = "SELECT * FROM ($query) AS q WHERE w + interval '$size' <= $wm" if $options =~ /final'/;
	$query = "SELECT *, coalesce(w + interval '$size' <= $wm, false) FROM ($query) AS q" if $options =~ /final_column/;
	if ($options =~ /retention/)
	{
		$query = "SELECT * FROM ($query) AS q WHERE w + interval '65 s' > $wm";
		$got = "SELECT * FROM $name WHERE w + interval '65 s' > $wm OR w + interval '120 s' < $wm";
	}
	return "(WITH got AS MATERIALIZED ($got), expected AS MATERIALIZED ($query)
		(SELECT '$name has: ' || x FROM (TABLE got EXCEPT ALL TABLE expected) AS x LIMIT 3)
		UNION ALL (SELECT '$name lacks: ' || x FROM (TABLE expected EXCEPT ALL TABLE got) AS x LIMIT 3))";
}

sub check
{
	my ($what) = @_;
	my $differences;

	foreach my $i (1 .. 600)
	{
		send_lines() if $line < $next;
		last if $line == $next && (sql('SELECT count(*) FROM l_each')) >= $next;
		usleep(50_000);
	}
	foreach my $view (@views)
	{
		$node->caught_up($view, 120);
	}
	sql("INSERT INTO bulk SELECT (row_no(i)).* FROM generate_series((SELECT coalesce(max(n) + 1, 0) FROM bulk), $next_bulk - 1) AS i");
	sql('ANALYZE rows, bulk');
	$differences = sql(join ' UNION ALL ', map { difference($_) } @views);
	return is($differences, '', $what) || do { diag($node->situation); 0 };
}

# ---- the places

# Reached by rows coming in, by many at once, by a start of the server, by a
# statement, after one.  A kind is a list of points here, each with the objects
# at which it may be reached, and a function in %kill.
my @streams = qw(k s l);
my @closing = grep { /final|tumbled|recomputed|hopped|retained|visits/ } @views;
my @members = grep { $_ ne 'folded' } @views;
my @joins = qw(pairs_ks pairs_sl partners);
my %place = (
	rows => {
		intake => ['l'],
		after_poll => \@streams,
		after_decode => [qw(k l)],
		take => \@streams,
		before_execute => \@members,
		before_merge => [ grep { !/^ranked/ } @members ],
		after_merge => \@members,
		before_derive => [qw(ranked ranked_final)],
		before_hold => \@joins,
		before_close => \@closing,
		after_close => \@closing,
		retention => ['retained'],
		before_progress => \@members,
		after_progress => \@members,
		after_follow => ['folded'],
		before_commit => \@streams,
		in_commit => ['worker'],
		after_record => ['worker'],
		after_commit => \@streams,
		send => ['sent'],
	},
	bulk => {
		after_poll => ['b'],
		after_decode => ['b'],
		next_round => ['b'],
		folded => ['p'],
	},
	start => {
		launch => ['-'],
		assign => ['-'],
		sync => ['-'],
		attach => \@streams,
		attach_partition => ['k'],
		refill => [qw(b_final k_final s_final)],
		trim => ['short'],
	},
	statement => {
		create_view => ['of_ddl'],
		set_paused => ['of_ddl'],
		rebuild => ['of_ddl'],
		rebuild_round => ['of_ddl'],
		rebuild_exchange => ['of_ddl'],
		replace_view => ['of_ddl'],
		drop_view => ['of_ddl'],
		in_commit => ['session'],
		after_record => ['session'],
	},
	created => {
		join_tasks => ['s'],
	});
my @victims = qw(self scheduler launcher postmaster immediate);
my %visited;
my $source_dir = "$FindBin::RealBin/../../src";

# All stop points that there are.
sub stop_points
{
	my %point;

	foreach my $file (glob("$source_dir/*.c $source_dir/*/*.c"))
	{
		my $text = slurp_file($file);
		$point{$1}++ while $text =~ /\b(?:SX_STOP(?:_THREAD)?|sx_stop_(?:point|thread))\("(\w+)"/g;
	}
	return sort keys %point;
}

sub random_of
{
	my (@list) = @_;
	return $list[ rand @list ];
}

# Somebody has been told to stop there: kill, and see that all come back.
sub kill_at
{
	my ($point, $victim, $pid) = @_;

	if ($victim eq 'self' || $victim =~ /launcher|scheduler/ && !$stops->process($victim))
	{
		$stops->strike('self', $pid);
	}
	else
	{
		$stops->strike($victim);
	}
	return;
}

sub action
{
	my ($victim) = @_;
	return $victim eq 'postmaster' && rand() < 0.5 ? 'orphan' : 'wait';
}

# The end of the test: what had gone to the server's socket may be lost.
sub missed
{
	my ($what, $point) = @_;

	fail("nobody comes by $what");
	diag($node->situation);
	diag('stop points: ' . join(' ', map { s/.*\///r } glob($node->data_dir . '/streamx_stop/*')) . '; streams that do not run: '
		. ($node->rows(q(SELECT string_agg(concat_ws(' ', stream, state, error), ', ') FROM streamx.streams WHERE state <> 'running')) // 'no answer'));
	$stops->disarm($point);
	$stops->release($point);
	return;
}

sub kill_while
{
	my ($feed, $point, $object, $victim, $what) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my $pid;

	$stops->arm($point, action($victim), $object, int(rand(3)) ? 0 : 1);
	do
	{
		$feed->();
		$pid = $stops->reached($point, 0.7);
	} while (!$pid && time < $end);
	return missed($what, $point) if !$pid;
	kill_at($point, $victim, $pid);
	return;
}

sub kill_with_rows
{
	my ($point, $object, @how) = @_;
	my $feed = $object =~ /^[bp]_/ ? sub { feed_bulk(700) } : \&feed;

	return kill_while($feed, $point, $object, @how);
}

sub kill_with_many
{
	my ($point, @where) = @_;

	return kill_while(sub { feed_bulk($point eq 'next_round' ? 20_000 : 4_000) }, $point, @where);
}

sub kill_at_start
{
	my ($point, $object, $victim, $what) = @_;
	my $pid;

	feed();
	foreach my $i (1 .. 5)
	{
		$stops->arm($point, action($victim), $object);
		$stops->strike(random_of(qw(scheduler postmaster immediate)));
		$pid = $stops->reached($point);
		return missed($what, $point) if !$pid;

		# somebody from before may have got there first
		last if kill 0, $pid;
	}
	kill_at($point, $victim, $pid);
	return;
}

# The view of the statements; undef: it is not there.
my @definition = map { "SELECT k, count(*), sum(n + $_) FROM {s} GROUP BY k" } 0 .. 1;
my $defined;

sub definition
{
	my ($verb, $i) = @_;
	return "$verb VIEW of_ddl WITH (streamx.continuous, streamx.start = 'earliest') AS " . $definition[$i] =~ s/\{s\}/s/r;
}

sub define
{
	sql(definition('CREATE', $defined = 0)) if !defined $defined;
	return;
}

sub undefine
{
	sql('DROP VIEW of_ddl') if defined $defined;
	undef $defined;
	return;
}

# What was committed is there, nothing else is.
sub check_definition
{
	my ($what) = @_;

	$node->wait_until('SELECT true');
	is(sql(q(SELECT to_regclass('of_ddl') IS NOT NULL)), defined $defined ? 't' : 'f', "$what: all or nothing");
	is(sql(q(SELECT count(*) FROM streamx.views WHERE state = 'paused')), 0, "$what: not paused");
	is(sql(q(SELECT count(*) FROM pg_class WHERE relname LIKE 'streamx_rebuild%')), 0, "$what: nothing is left");
	if (defined $defined)
	{
		$node->caught_up('of_ddl');
		$node->same('TABLE of_ddl', $definition[$defined] =~ s/\{s\}/rows/r, "$what: what the view has");
	}
	return;
}

sub kill_statement
{
	my ($point, $object, $victim, $what) = @_;
	my ($do, $statement, $then, $pid, $run);

	$do = $point =~ /^(create|drop|replace|rebuild)/ ? $1
	  : $point eq 'set_paused' ? 'pause'
	  : random_of(qw(create drop replace rebuild));
	if ($do eq 'create')
	{
		undefine();
		$statement = definition('CREATE', $then = 0);
	}
	else
	{
		define();
		$node->caught_up('of_ddl');
		$then = $defined;
		$statement =
		    $do eq 'pause'   ? q(SELECT streamx.pause('of_ddl'))
		  : $do eq 'rebuild' ? q(SELECT streamx.rebuild('of_ddl'))
		  : $do eq 'replace' ? definition('CREATE OR REPLACE', $then = 1 - $defined)
		  :                    'DROP VIEW of_ddl';
		undef $then if $do eq 'drop';
	}
	$stops->arm($point, 'wait', $object);
	$run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $statement ],
		'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	$pid = $stops->reached($point);
	if (!$pid)
	{
		$run->finish;
		return missed($what, $point);
	}
	kill_at($point, $victim, $pid);
	$run->finish;
	$defined = $then if $point eq 'after_record';
	check_definition("$what, $do");
	return;
}

# A worker that takes up what has been created.
sub kill_created
{
	my ($point, $object, $victim, $what) = @_;
	my $pid;

	undefine();
	$stops->arm($point, action($victim), $object);
	define();
	$pid = $stops->reached($point) or return missed($what, $point);
	kill_at($point, $victim, $pid);
	check_definition($what);
	return;
}

# ---- go

my %kill = (
	rows => \&kill_with_rows,
	bulk => \&kill_with_many,
	start => \&kill_at_start,
	statement => \&kill_statement,
	created => \&kill_created);

# each place by one victim, then each by another
sub plan_kills
{
	my @rounds;

	foreach my $kind (sort keys %place)
	{
		foreach my $point (sort keys %{ $place{$kind} })
		{
			my @order = shuffle(@victims);
			push @{ $rounds[$_] }, [ $kind, $point, $order[$_] ] foreach 0 .. $#order;
		}
	}
	return map { shuffle(@$_) } @rounds;
}

# all views have something to begin with
feed() for 1 .. 3;
feed_bulk(2000);
check('before');

my $start = time;
my @plan;
while ($stops->strikes < $kills)
{
	@plan = plan_kills() if !@plan;
	my ($kind, $point, $victim) = @{ shift @plan };
	my $object = random_of(@{ $place{$kind}{$point} });
	my $what = "$victim at $point of $object";

	note sprintf '%.1f s, %d: %s', time - $start, $stops->strikes, $what;
	$kill{$kind}->($point, $object, $victim, $what);
	$visited{$point}++;
	last if !Test::More->builder->is_passing;
	complete() or last;
	if ($stops->strikes % $check_every == 0 || !@plan)
	{
		check('after ' . $stops->strikes . ' kills') or last;
	}
}
note sprintf '%.1f s', time - $start;
if (!Test::More->builder->is_passing)
{
	# what follows would not be what has failed
	$node->stop('immediate');
	done_testing();
	exit 1;
}

feed() for 1 .. 3;
check('in the end');
cmp_ok($stops->strikes, '>=', $kills, "$kills kills");
is(join(' ', sort keys %visited), join(' ', stop_points()), 'all stop points were visited') if $kills >= 50;
is(sql('SELECT sum(rows_late), sum(dead_letters) FROM streamx.views'), '0|0', 'no row was late');
is(sql(q(SELECT count(*) FROM streamx.views WHERE state <> 'running')), 0, 'all views run');

$producer->finish;
my %sent;
$sent{ $_->{value} }++ foreach $kafka->consume('out');
is(scalar(grep { $_ > 1 } values %sent), 0, 'the sink has no row twice');
is(scalar(keys %sent), int(($next + 9) / 10), 'the sink has every row');

diag(sprintf '%d kills in %.0f s, %d rows in %d views compared with the batch queries, seed %d',
	$stops->strikes, time - $start, $next_bulk + 3 * $next, scalar @views, $seed);

$node->log_is_clean($stops->killed);
$node->stop;
done_testing();
