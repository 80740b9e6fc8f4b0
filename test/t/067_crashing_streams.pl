
# Streams whose messages crash the process that reads them: in the main thread
# (a check of a domain, code of a user) and in the thread that decodes.  The
# views of the stream are stopped, those of other streams go on, and when the
# cause is gone all go on exactly.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use StreamxStops;
use Test::More;
use Time::HiRes qw(usleep);

my $kafka = StreamxKafka->new;

# one worker for all streams
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1');
my $stops = StreamxStops->new($node);
my $module = StreamxCluster->module('crash');
my $bootstrap = $kafka->bootstrap;
my $next = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# The check of the domain: crashes at negative numbers, or does not.
sub check_is
{
	my ($how) = @_;
	my $do = $how ? "IF n < 0 THEN PERFORM public.crash('$how'); END IF;" : '';

	sql("CREATE OR REPLACE FUNCTION accept(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN $do RETURN true; END \$\$");
	return;
}

# Rows for all streams; the server may be away.
sub feed
{
	my (@more) = @_;
	my @n = ($next .. $next + 49, @more);
	my @lines = map { sprintf '%d,%s', $_, '2026-01-01 00:' . sprintf('%02d:%02dZ', $next / 600 % 60, $next / 10 % 60) } @n;
	my $values = join ', ', map { /(.*),(.*)/ ? "($1, '$2')" : () } @lines;

	$next += 50;
	$kafka->produce($_, 0, @lines) foreach qw(a b);
	$node->wait_until("SELECT insert_once($next, \$\$$values\$\$)") or die 'no row can be inserted';
	return;
}

sub crashes
{
	return () = slurp_file($node->logfile) =~ /background worker "streamx worker[^\n]* was terminated by signal/g;
}

$kafka->create_topic($_, 1) foreach qw(a b);
sql("CREATE FUNCTION crash(text) RETURNS void LANGUAGE c IMMUTABLE AS '$module'");
check_is();
sql(<<"SQL");
CREATE DOMAIN number AS int CHECK (accept(VALUE));
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE a (n number, ts timestamptz) SERVER broker
  OPTIONS (topic 'a', format 'csv', event_time 'ts', watermark '1 s', idle_timeout '0');
CREATE FOREIGN TABLE b (n int, ts timestamptz) SERVER broker
  OPTIONS (topic 'b', format 'csv', event_time 'ts', watermark '1 s', idle_timeout '0');
CREATE FOREIGN TABLE s (n int, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '1 s', idle_timeout '0');
CREATE TABLE rows (n int, ts timestamptz);
CREATE TABLE inserted (upto int);
CREATE FUNCTION insert_once(upto int, list text) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
  IF NOT EXISTS (SELECT FROM inserted AS i WHERE i.upto = insert_once.upto) THEN
    INSERT INTO inserted VALUES (upto);
    EXECUTE 'INSERT INTO s SELECT x::int, t::timestamptz FROM (VALUES ' || list || ') AS v (x, t)';
    EXECUTE 'INSERT INTO rows SELECT x::int, t::timestamptz FROM (VALUES ' || list || ') AS v (x, t)';
  END IF;
  RETURN true;
END \$\$;
SQL

my %query = (
	a_each => 'SELECT n FROM {a}',
	a_final => "SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM {a} GROUP BY 1",
	a_union => 'SELECT count(*), sum(n) FROM (SELECT n FROM {a} UNION ALL SELECT n FROM {s}) AS u',
	a_over => 'SELECT count(*), max(n) FROM {a_each}',
	b_total => 'SELECT count(*), sum(n), max(ts) FROM {b}',
	b_final => "SELECT tumble(ts, '5 s') AS w, count(*), sum(n) FROM {b} GROUP BY 1",
	s_total => 'SELECT count(*), sum(n), max(ts) FROM {s}');
my @of_stream = qw(a_each a_final a_union);
my @others = qw(b_final b_total s_total);

foreach my $view (sort { ($a eq 'a_over') <=> ($b eq 'a_over') || $a cmp $b } keys %query)
{
	my $emit = $view =~ /final/ ? ", streamx.emit = 'final'" : '';

	sql("CREATE VIEW $view WITH (streamx.continuous$emit) AS " . $query{$view} =~ s/\{(\w+)\}/$1/gr);
}

sub exact
{
	my ($name, @views) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $view (@views)
	{
		my $query = $query{$view} =~ s/\{\w+\}/rows/gr;

		$query .= " HAVING tumble(ts, '5 s') + interval '5 s' <= (SELECT max(ts) - interval '1 s' FROM rows)" if $view =~ /final/;
		$node->caught_up($view, 60);
		$node->same("TABLE $view", $query, "$name: $view");
	}
	return;
}

sub stopped
{
	my ($times, $while, $name) = @_;
	my $because = "the worker process has crashed $times times in succession while it was $while";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT count(*) = 3 FROM streamx.views WHERE state = 'stopped' AND sqlstate = '57P02' AND error = '$because'"),
		"$name: the views of the stream are stopped")
	  || diag($node->situation);
	is(sql(q(SELECT string_agg(view::text, ' ' ORDER BY view::text) FROM streamx.views WHERE state = 'stopped')), "@of_stream", "$name: no others");
	is(sql(q(SELECT state, error FROM streamx.streams WHERE stream = 'a'::regclass)), "failed|$because", "$name: its stream says why");
	like(sql(q(SELECT string_agg(object || ': ' || problem || ' ' || cure, E'\n' ORDER BY object) FROM streamx.health() WHERE severity = 'error')),
		qr/^public.a: the stream cannot be read: $because Mend the cause, then resume.*\npublic.a_each: .*$because.*streamx\.resume/s, "$name: so does health");
	return;
}

sub crash_and_mend
{
	my ($name, $while, $break, $mend, @more) = @_;
	my $before = crashes();

	exact("$name, before", sort keys %query);
	is(crashes(), $before, "$name: nothing has crashed");
	$break->();
	feed(@more);
	stopped(3, $while, $name);
	is(crashes() - $before, 3, "$name: after 3 crashes");

	# others go on, and after a restart nothing is tried
	feed();
	exact("$name: the others go on", @others);
	$node->restart;
	feed();
	exact("$name: after a restart too", @others);
	stopped(3, $while, "$name, after a restart");
	is(crashes() - $before, 3, "$name: nothing more has crashed");

	# one of the views: one more try
	sql(q(SELECT streamx.resume('a_each')));
	ok($node->wait_until("SELECT state = 'stopped' AND error ~ 'crashed 4 times' FROM streamx.views WHERE view = 'a_each'::regclass"), "$name: resume tries once more")
	  || diag($node->situation);
	like(sql(q(SELECT state, error FROM streamx.streams WHERE stream = 'a'::regclass)), qr/^failed\|.*crashed 4 times/, "$name: its stream says so");
	is(crashes() - $before, 4, "$name: which is one crash");

	$mend->();
	sql("SELECT streamx.resume('$_')") foreach @of_stream;
	exact("$name, mended", sort keys %query);
	ok($node->wait_until(q(SELECT state = 'running' AND error IS NULL FROM streamx.streams WHERE stream = 'a'::regclass)), "$name: the stream is read again");
	feed();
	exact("$name, going on", sort keys %query);
	is(crashes() - $before, 4, "$name: nothing more has crashed");

	# soon after what it has passed is to be seen
	my $file = $node->data_dir . '/streamx_crashes';
	my $looks = 500;

	usleep(10_000) while -e $file && $looks-- > 0;
	ok(!-e $file, "$name: it is forgotten");
	return;
}

feed();
crash_and_mend('a domain', 'reading stream "a"', sub { check_is('segv') }, sub { check_is() }, -1);
crash_and_mend('decoding', 'decoding messages of stream "a"',
	sub { $stops->arm('after_decode', 'fault', 'a') }, sub { $stops->disarm('after_decode') });

# the main thread is at another view meanwhile: that is not to blame
crash_and_mend('decoding beside a view', 'decoding messages of stream "a"',
	sub {
		$stops->arm('before_merge', 'wait', 'b_total');
		feed();
		$stops->reached('before_merge') or die 'nobody comes by';
		$stops->arm('after_decode', 'fault', 'a');
	},
	sub { $stops->disarm('after_decode') });

# two threads decode the stream: one crash
$stops->arm('after_decode', 'wait', 'a');
feed();
$stops->reached('after_decode') or die 'nobody comes by';
$stops->arm_next('after_decode', 'fault', 'a');
my $told = -s $node->logfile;
sql('CREATE VIEW a_new WITH (streamx.continuous) AS SELECT count(*) FROM a');
$node->wait_for_log(qr/That was number \d in succession/, $told);
$stops->disarm('after_decode');
$stops->release('after_decode');
like(slurp_file($node->logfile, $told), qr/That was number 1 in succession/, 'of two threads at the same stream: counted once');
ok($node->wait_until('SELECT count > 0 FROM a_new'), 'two threads: it is read again');
exact('two threads', sort keys %query);

is(sql('SELECT count(*) FROM streamx.dead_letters'), 0, 'no dead letter');
$node->stop;
done_testing();
