
# A stream that several processes read (option parallelism) meets what brokers do:
# transactions that are aborted, partitions that are added, a broker that is stopped,
# killed, hangs; rows that are gone, a topic that is made anew; and a server with
# no process left for it.  Each ends in progress or says why, every row counts
# once, and waiting costs next to nothing.

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

StreamxCluster->needs_program('prlimit');
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'max_worker_processes = 16');
my $bootstrap = $kafka->bootstrap;
my $sent = 0;
my $sum = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub shows
{
	my ($condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->wait_until("SELECT $condition FROM streamx.streams WHERE stream = 't'::regclass", 60), $name)
	  || diag(sql('SELECT * FROM streamx.streams'));
}

sub messages
{
	my ($n) = @_;
	my $from = $sent + 1;

	$sent += $n;
	$sum += $_ foreach $from .. $sent;
	return map { qq({"n": $_}) } $from .. $sent;
}

# To every partition.
my $partitions = 4;
sub spread
{
	my ($n) = @_;
	my @messages = messages($n);
	return map { { partition => $_ % $partitions, value => $messages[$_] } } 0 .. $#messages;
}

sub exact
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT (SELECT sum(count) FROM groups) >= $sent", 90), "$name: all have come")
	  or diag(sql('SELECT sum(count) FROM groups'), "\n", $node->situation);
	return is(sql('SELECT count(*), sum(count), sum(sum), (SELECT v::text FROM total AS v) FROM groups'),
		join('|', 10, $sent, $sum, "($sent,$sum)"), "$name: each counts once");
}

sub folding
{
	return scalar($node->pids('streamx fold process'));
}

# Who folds is settled when rows come.
sub await_folding
{
	my ($what) = @_;
	my $end = time + 60;

	while (folding() != 3 && time < $end)
	{
		$kafka->produce('t', 0, spread(100));
		sleep 0.3;
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(folding(), 3, "$what: several processes read");
}

# Seconds of processor time of the worker and of those beside it, by process.
sub worked
{
	my %worked;

	foreach my $pid (map { $node->pids($_) } 'streamx worker', 'streamx fold process')
	{
		my $stat = eval { slurp_file("/proc/$pid/stat") } // next;
		my @fields = split ' ', $stat =~ s/.*\) //sr;

		$worked{$pid} = ($fields[11] + $fields[12]) / 100;
	}
	return %worked;
}

# Of the time that passes, whatever that is.
sub costs_little
{
	my ($what) = @_;
	my %before = worked();
	my $began = time;
	my $worked = 0;

	sleep 4;
	my %after = worked();
	$worked += $after{$_} - ($before{$_} // 0) foreach keys %after;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return cmp_ok($worked / (time - $began), '<', 0.3, sprintf '%s: waiting is not working (%.2f s)', $what, $worked);
}

$kafka->create_topic('t', $partitions);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE t (n bigint, size int) SERVER broker OPTIONS (topic 't', parallelism '3');
CREATE VIEW groups WITH (streamx.continuous) AS SELECT n % 10 AS g, count(*), sum(n) FROM t GROUP BY 1;
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM t;
CREATE VIEW largest WITH (streamx.continuous) AS SELECT count(size), max(length(repeat('x', size))) FROM t;
SQL
$kafka->produce('t', 0, spread(5000));
exact('before');
await_folding('before');
exact('by several');

# ---- transactions: aborted, empty to the reader, one that stays open for a while

foreach my $round (1 .. 3)
{
	$kafka->abort('t', $_, map { qq({"n": $_}) } 1 .. 500) foreach 0 .. $partitions - 1;
	$kafka->commit('t', 0, spread(400));
}
my $open = $kafka->begin('t', 1, map { qq({"n": $_}) } 1 .. 50);
$kafka->produce('t', 0, map { { partition => 0, value => $_ } } messages(200));
exact('aborted transactions');
$kafka->produce('t', 0, map { { partition => 1, value => $_ } } messages(200));
$open->rollback;
exact('behind an open one');

# ---- partitions that are added

$partitions = 7;
$kafka->add_partitions('t', $partitions);
$kafka->produce('t', 0, spread(3000));
exact('partitions added');
await_folding('partitions added');
exact('partitions added, by several');

# ---- the broker is stopped, is killed, hangs

foreach my $how (qw(stop kill9 pause))
{
	await_folding("before $how");
	exact("before $how");
	$kafka->$how;
	shows(q(state = 'down' AND error <> ''), "$how: visible") if $how ne 'pause';
	costs_little($how);
	if ($how eq 'pause')
	{
		sleep($ENV{STREAMX_LONG} ? 30 : 6);
		$node->restart;
	}
	$how eq 'pause' ? $kafka->resume : $kafka->start;
	$kafka->produce('t', 0, spread(3000));
	exact("after $how");
	shows(q(state = 'running' AND error IS NULL), "after $how: no error is left");
}

# ---- a fold process and the broker at once

await_folding('both');
my ($pid) = $node->pids('streamx fold process');
$kafka->kill9;
$node->kill_process($pid);
$kafka->start;
$kafka->produce('t', 0, spread(3000));
exact('a fold process and the broker are killed');

# ---- memory: what one of them cannot have the worker can

SKIP:
{
	skip 'AddressSanitizer takes all address space', 6 if $ENV{STREAMX_SANITIZE};
	await_folding('memory');
	exact('before memory runs out');
	foreach my $fold ($node->pids('streamx fold process'))
	{
		my ($size) = slurp_file("/proc/$fold/status") =~ /^VmSize:\s+(\d+) kB/m;
		system_or_bail('prlimit', '--pid', $fold, '--as=' . ($size + 100_000) * 1024);
	}
	my $read = -s $node->logfile;
	$kafka->produce('t', 0, map { { %$_, value => $$_{value} =~ s/\}/, "size": 300000000}/r } } spread(2));
	exact('memory runs out');
	ok($node->log_contains(qr/fold processes of stream "public.t" have failed.*out of memory/s, $read), 'memory runs out: the log says so');
	is(sql('TABLE largest'), '2|300000000', 'memory runs out: what it was needed for is there');
	await_folding('memory is there again');
}
sql('DROP VIEW largest');

# ---- rows that are gone before they were read

await_folding('rows that are gone');
exact('before rows are gone');
sql(q(SELECT streamx.pause('groups'), streamx.pause('total')));
my %end = map { $$_[0] => $$_[2] } map { [ split /\|/ ] }
  split /\n/, sql(q(SELECT partition, 0, next_offset FROM streamx.progress WHERE view = 'groups'::regclass));
my @lost = messages(20);
$sent -= 10;
$sum -= $_ foreach map { /(\d+)/ } @lost[ 0 .. 9 ];
$kafka->produce('t', 2, @lost);
$kafka->truncate('t', 2, $end{2} + 10);
sql(q(SELECT streamx.resume('groups'), streamx.resume('total')));
shows(qq(error LIKE 'offsets $end{2} to %of partition 2%' AND state <> 'running'), 'rows that are gone: visible');
sql(q(ALTER FOREIGN TABLE t OPTIONS (ADD on_data_loss 'continue')));
ok($node->wait_until("SELECT (SELECT sum(count) FROM groups) >= $sent", 60), 'rows that are gone: on_data_loss continue cures it');
exact('rows that are gone');

# ---- deleted and made anew

sql(q(ALTER FOREIGN TABLE t OPTIONS (DROP on_data_loss)));
$kafka->delete_topic('t');
shows(q(error LIKE '%does not exist%'), 'a topic that is deleted: visible');
costs_little('a topic that is deleted');
$kafka->create_topic('t', $partitions);
$kafka->produce('t', 0, map { { partition => $_ % $partitions, value => '{"n": 1000000}' } } 1 .. 70);
shows(q(error LIKE '%was deleted and created anew%' AND state <> 'running'), 'a topic that is made anew: visible');
is(sql('SELECT sum(count) FROM groups'), $sent, '... and not read');
sql(q(ALTER FOREIGN TABLE t OPTIONS (ADD on_data_loss 'continue')));
$sent += 70;
$sum += 70_000_000;
exact('a topic that is made anew');

# ---- no process is left for it

sql('ALTER SYSTEM SET max_worker_processes = 4');
$node->restart;
$kafka->produce('t', 0, spread(3000));
exact('no process left');
cmp_ok(folding(), '<', 3, 'the worker does without');
sql('ALTER SYSTEM RESET max_worker_processes');
$node->restart;
await_folding('in the end');
exact('in the end');

is(sql(q(SELECT count(*) FROM streamx.views WHERE state = 'stopped' OR dead_letters > 0)), 0, 'all is well');
$node->log_is_clean;
$node->stop;
done_testing();
