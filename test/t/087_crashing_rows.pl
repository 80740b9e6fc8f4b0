
# Rows, and functions of users, that crash the process that takes them in.  The
# server starts again, but not for ever: the view is stopped, the others go on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $module = StreamxCluster->module('crash');
my $dir = PostgreSQL::Test::Utils::tempdir('crash');
my $next = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# A function that crashes at negative numbers, or one that does not.
sub function
{
	my ($name, $how) = @_;
	my $do = $how ? "IF n < 0 THEN PERFORM crash('$how'); END IF;" : '';

	sql("CREATE OR REPLACE FUNCTION $name(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN $do RETURN n; END \$\$");
	return;
}

# Rows for both streams, in one transaction.
sub statement
{
	my (@more) = @_;
	my $values = "SELECT i, timestamptz '2026-01-01Z' + i * interval '0.1 s' FROM generate_series($next, $next + 49) AS i"
	  . join '', map { " UNION ALL VALUES ($_, timestamptz '2026-01-01Z' + $next * interval '0.1 s')" } @more;

	$next += 50;
	return join '; ', 'BEGIN', (map { "INSERT INTO $_ $values" } qw(s t rows)), 'COMMIT';
}

# The server may crash before it can answer.
sub insert
{
	my (@more) = @_;
	my $sql = statement(@more);

	foreach my $i (1 .. 50)
	{
		my $there;

		$node->rows($sql);
		$node->wait_until(q(SELECT true)) until defined($there = $node->rows("SELECT count(*) FROM rows WHERE n = $next - 1"));
		return if $there == 1;
	}
	die 'no row can be inserted';
}

# How often a process of the server has crashed so far.
sub crashes
{
	return () = slurp_file($node->logfile) =~ /background worker "streamx worker[^\n]* (?:was terminated by signal|exited with exit code [2-9])/g;
}

sub crashed
{
	my ($times) = @_;

	foreach my $i (1 .. 600)
	{
		last if crashes() >= $times;
		select undef, undef, undef, 0.05;
	}
	$node->wait_until(q(SELECT true));
	return;
}

sub stopped
{
	my ($view, $because, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->wait_until("SELECT state = 'stopped' AND sqlstate = '57P02' AND error LIKE '$because' FROM streamx.views WHERE view::text = '$view'"), $name)
	  || diag($node->situation);
}

my %query = (
	good => 'SELECT count(*), sum(n) FROM {s}',
	bad => 'SELECT count(*), sum(f(n)) FROM {s}',
	elsewhere => 'SELECT count(*), sum(n) FROM {t}');

sub exact
{
	my ($name, @views) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $view (@views)
	{
		$node->caught_up($view);
		$node->same("TABLE $view", $query{$view} =~ s/\{\w\}/rows/r, "$name: $view");
	}
	return;
}

sql(<<"SQL");
CREATE FUNCTION crash(text) RETURNS void LANGUAGE c IMMUTABLE AS '$module';
CREATE FOREIGN TABLE s (n bigint, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '1 s', idle_timeout '0', retain '1 hour');
CREATE FOREIGN TABLE t (n bigint, ts timestamptz) SERVER streamx;
CREATE TABLE rows (n bigint, ts timestamptz);
SQL
function('f', 'segv');
sql("CREATE VIEW $_ WITH (streamx.continuous) AS " . $query{$_} =~ s/\{(\w)\}/$1/r) foreach sort keys %query;
insert();
exact('before', sort keys %query);
is(crashes(), 0, 'nothing has crashed');

# ---- each way to crash

foreach my $how (qw(segv abort kill stack exit))
{
	my $before = crashes();

	function('f', $how);
	insert(-1);
	# somebody else may have killed it, and an exit tells nothing
	my $times = $how =~ /kill|exit/ ? 10 : 3;
	stopped('bad', "the worker process has crashed $times times in succession while it was taking in % rows of stream \"s\", from partition 0, offset %", "$how: the view is stopped");
	is(crashes() - $before, $times, "$how: after $times crashes");
	insert();
	exact("$how: the others go on", qw(good elsewhere));
	if ($how eq 'segv')
	{
		like(sql(q(SELECT string_agg(problem || ' ' || cure, ' ') FROM streamx.health())), qr/crashed 3 times.*streamx\.resume/s, 'health tells the cure');
		sql(q(SELECT streamx.resume('bad')));
		stopped('bad', '% crashed % times %', 'resume tries once more');
		crashed($before + 4);
		is(crashes() - $before, 4, 'which is one crash');
		$node->wait_until(q(SELECT state = 'stopped' FROM streamx.views WHERE view = 'bad'::regclass));
	}
	function('f');
	sql(q(SELECT streamx.resume('bad')));
	exact("$how: mended", sort keys %query);
}

# ---- a crash that is over does not count any more

my $before = crashes();
foreach my $round (1 .. 4)
{
	function('f', "once $dir/$round");
	insert(-1);
	crashed($before + $round);
	exact("a crash that passes, $round", sort keys %query);
}
is(crashes() - $before, 4, 'four crashes');

# ---- in closing windows, while rows come; in a view over views

function('g', 'segv');
sql(q(CREATE FUNCTION sum_up(state bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT state + n';
	CREATE FUNCTION final_of(state bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g(CASE WHEN state > 50000 THEN -state ELSE state END); END';
	CREATE AGGREGATE total(bigint) (sfunc = sum_up, stype = bigint, initcond = '0', finalfunc = final_of, combinefunc = int8pl);));
$query{closing} = q(SELECT tumble(ts, '1 min') AS w, count(*), total(n) FROM {s} GROUP BY 1);
$query{over} = 'SELECT max(g((-sum)::bigint)) FROM {g}';
$before = crashes();
sql("CREATE VIEW closing WITH (streamx.continuous, streamx.emit = 'final', streamx.start = 'earliest') AS " . $query{closing} =~ s/\{s\}/s/r);
sub closed
{
	insert() for 1 .. 3;
	$node->wait_until(q(SELECT true));
	return $node->rows(q(SELECT state = 'stopped' FROM streamx.views WHERE view = 'closing'::regclass)) // '' eq 't';
}
foreach my $i (1 .. 40)
{
	last if closed();
}
stopped('closing', 'the worker process has crashed 3 times in succession while it was closing windows', 'windows that crash as they close');
is(crashes() - $before, 3, '... after three crashes, though rows came meanwhile');
exact('the others go on', qw(good bad elsewhere));
function('g');
sql(q(SELECT streamx.resume('closing')));
$node->caught_up('closing');
$node->same('TABLE closing', q(SELECT tumble(ts, '1 min') AS w, count(*), CASE WHEN sum(n) > 50000 THEN -sum(n) ELSE sum(n) END FROM rows GROUP BY 1
	HAVING tumble(ts, '1 min') + interval '1 min' <= (SELECT max(ts) - interval '1 s' FROM rows)), 'and is exact when that is mended');

sql('CREATE VIEW over WITH (streamx.continuous) AS ' . $query{over} =~ s/\{g\}/good/r);
function('g', 'abort');
insert();
stopped('over', '% crashed 3 times %', 'a view over another one');
exact('what it reads goes on', 'good');
function('g');
sql(q(SELECT streamx.resume('over')));
$node->caught_up('over');
is(sql('SELECT max FROM over'), sql('SELECT -sum(n) FROM rows'), 'and so does it');

# ---- a server that does not start again by itself

$node->append_conf('postgresql.conf', 'restart_after_crash = off');
$node->reload;
function('f', 'segv');
$node->wait_until(q(SELECT current_setting('restart_after_crash') = 'off'));
$node->rows(statement(-1));
foreach my $i (1 .. 4)
{
	my $up = 1;

	foreach my $j (1 .. 200)
	{
		$up = $node->rows(q(SELECT bool_or(state = 'stopped') FROM streamx.views));
		last if !defined $up || $up eq 't';
		select undef, undef, undef, 0.1;
	}
	is(defined $up ? 'up' : 'down', $i < 4 ? 'down' : 'up', "the server after start $i");
	last if defined $up;
	foreach my $j (1 .. 100)
	{
		last if !-e $node->data_dir . '/postmaster.pid';
		select undef, undef, undef, 0.1;
	}
	# it may be down again before anybody has looked
	system('pg_ctl', '-w', '-s', '-D', $node->data_dir, '-l', $node->logfile, 'start');
}
$node->_update_pid(1);
stopped('bad', '% crashed 3 times %', 'the view is stopped');
exact('the others go on', qw(good elsewhere));
ok(-e $node->data_dir . '/streamx_crashes', 'it is known after a restart');
function('f');
sql(q(SELECT streamx.resume('bad')));
exact('mended', sort grep { !/closing|over/ } keys %query);
ok(!-e $node->data_dir . '/streamx_crashes', 'and forgotten');

$node->stop;
done_testing();
