
# What a server runs short of: time-outs set for all, processes, temporary files,
# memory, disk.  A view waits and says so, its neighbours go on, and when there is
# room again nothing is missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

StreamxCluster->needs_program('prlimit');

my $dir = PostgreSQL::Test::Utils::tempdir('limits');
my $shim = "$dir/disk_full.so";
my $node;
my $next = 0;

system_or_bail($ENV{CC} || 'cc', '-O1', '-shared', '-fPIC', '-o', $shim, "$FindBin::RealBin/../lib/disk_full.c", '-ldl');
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{DISK_FULL} = "$dir/full";
	$node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'shared_buffers = 16MB');
}

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub insert
{
	my ($n) = @_;
	my $values = "SELECT i, i % 41 FROM generate_series($next, $next + $n - 1) AS i";

	sql("BEGIN; INSERT INTO s $values; INSERT INTO t $values; INSERT INTO rows $values; COMMIT");
	$next += $n;
	return;
}

my %query = (
	good => 'SELECT count(*), sum(n) FROM {s}',
	grouped => 'SELECT k, count(*), sum(n) FROM {s} GROUP BY k',
	each => 'SELECT n, k FROM {s}',
	big => 'SELECT k % 2 AS k, max(length(padded(n))) FROM {s} GROUP BY 1',
	elsewhere => 'SELECT count(*), sum(n) FROM {t}');

sub exact
{
	my ($name, @views) = @_;

	@views = sort keys %query if !@views;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $view (@views)
	{
		$node->caught_up($view);
		$node->same("TABLE $view", $query{$view} =~ s/\{\w\}/rows/r, "$name: $view");
	}
	return;
}

# The view is tried again and again, for this reason, and that can be seen.
sub waits
{
	my ($view, $sqlstate, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->wait_until("SELECT count(*) > 0 FROM streamx.errors WHERE view = '$view'::regclass AND sqlstate = '$sqlstate' AND times > 2"), $name)
	  or diag($node->situation, "\n", sql('SELECT * FROM streamx.errors'));
	is(sql("SELECT state <> 'stopped' FROM streamx.views WHERE view = '$view'::regclass"), 't', "$name: it has not stopped");
	like(sql("SELECT string_agg(problem, ' ') FROM streamx.health() WHERE object ~ '$view'"), qr/./, "$name: health says so")
	  or diag(sql('SELECT * FROM streamx.health()'));
	return;
}

sql(<<'SQL');
CREATE FOREIGN TABLE s (n int, k int) SERVER streamx OPTIONS (dead_letter_retention '1 s');
CREATE FOREIGN TABLE t (n int, k int) SERVER streamx;
CREATE TABLE rows (n int, k int);
CREATE FUNCTION slow(n int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN n; END';
CREATE FUNCTION padded(n int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT n::text';
SQL
sql("CREATE VIEW $_ WITH (streamx.continuous) AS " . $query{$_} =~ s/\{(\w)\}/$1/r) foreach sort keys %query;
insert(100);
exact('before');

# ---- time-outs and the like, for everybody

my %all = (statement_timeout => '1ms', lock_timeout => '1ms', idle_in_transaction_session_timeout => '1ms', idle_session_timeout => '1ms',
	default_transaction_read_only => 'on', default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on');

# of 17 and later; a session that is just being made has it as well, whatever PGOPTIONS says
$all{transaction_timeout} = '100ms' if sql(q(SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'));
my %mine = (%all, default_transaction_read_only => 'off', default_transaction_isolation => 'read\ committed', default_transaction_deferrable => 'off',
	map { $_ => 0 } grep { /timeout/ } keys %all);
local $ENV{PGOPTIONS} = join ' ', map { "-c $_=$mine{$_}" } sort keys %mine;

sub everybody
{
	my ($what, $sql) = @_;

	sql($sql =~ s/NAME/$_/gr =~ s/VALUE/$all{$_}/gr) foreach sort keys %all;
	{
		local $ENV{LD_PRELOAD} = $shim;
		local $ENV{DISK_FULL} = "$dir/full";
		$node->restart;
	}
	insert(100);
	exact($what);
	sql('CREATE VIEW another WITH (streamx.continuous) AS SELECT 1 / (slow(n) % 50) AS one FROM s');
	insert(100);
	$node->caught_up('another');
	is(sql(q(SELECT count(*) FROM streamx.views WHERE view = 'another'::regclass AND dead_letters = 2)), 1, "$what: dead letters");
	ok($node->wait_until('SELECT count(*) = 0 FROM streamx.dead_letters'), "$what: which are removed when their time has come");
	sql('DROP VIEW another');
	unlike(slurp_file($node->logfile), qr/terminating connection due to (?!administrator|unexpected)/, "$what: nobody is thrown out");
	return;
}

everybody('for the server', "ALTER SYSTEM SET NAME = 'VALUE'");
sql("ALTER SYSTEM RESET $_") foreach sort keys %all;
$node->reload;
everybody('for database and role', "ALTER DATABASE postgres SET NAME = 'VALUE'; ALTER ROLE CURRENT_USER SET NAME = 'VALUE'");
sql("ALTER DATABASE postgres RESET $_; ALTER ROLE CURRENT_USER RESET $_") foreach sort keys %all;
delete $ENV{PGOPTIONS};

# ---- temporary files

sql(q(ALTER SYSTEM SET temp_file_limit = '100kB'; SELECT pg_reload_conf();
	CREATE OR REPLACE FUNCTION padded(n int) RETURNS text LANGUAGE plpgsql IMMUTABLE SET work_mem = '64kB' AS
	$$ BEGIN PERFORM i FROM generate_series(1, 30000) AS i ORDER BY -i OFFSET 29999; RETURN n::text; END $$));
insert(100);
waits('big', '53400', 'too much for temporary files');
insert(100);
exact('temporary files: the others go on', qw(good grouped each elsewhere));
sql('ALTER SYSTEM RESET temp_file_limit; SELECT pg_reload_conf()');
exact('temporary files: there is room again');

# ---- memory

sub limit
{
	my ($bytes) = @_;
	system_or_bail('prlimit', '--pid', $node->worker, "--as=$bytes:unlimited");
	return;
}

sql(q(CREATE OR REPLACE FUNCTION padded(n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN PERFORM length(repeat('x', 300000000)); RETURN n::text; END $$));
SKIP:
{
	skip 'AddressSanitizer takes all address space', 3 if $ENV{STREAMX_SANITIZE};
	my ($size) = slurp_file('/proc/' . $node->worker . '/status') =~ /^VmSize:\s+(\d+) kB/m;
	limit(($size + 100_000) * 1024);
	insert(10);
	waits('big', '53200', 'too much for memory');
	insert(10);
	exact('memory: the others go on', qw(good grouped each elsewhere));
	limit('unlimited');
	exact('memory: there is some again');
}

# ---- the disk

sql(q(CREATE OR REPLACE FUNCTION padded(n int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT n::text'));
sql(q(SELECT streamx.pause('each')));
insert(50_000);
exact('before the disk is full', qw(good grouped elsewhere big));
PostgreSQL::Test::Utils::append_to_file("$dir/full", '');
sql(q(SELECT streamx.resume('each')));
waits('each', '53100', 'the disk is full');
like($node->error("INSERT INTO rows SELECT i FROM generate_series(1, 100000) AS i"), qr/No space left/, 'it is, for everybody');
is(sql('SELECT count(*) > 0 FROM each'), 't', 'what there was is there');
unlink "$dir/full";
exact('disk: there is room again');

# ---- processes

sql('ALTER SYSTEM SET max_worker_processes = 4; ALTER SYSTEM SET streamx.workers = 4');
$node->restart;
insert(10);
ok($node->wait_until(q(SELECT count(*) > 0 FROM streamx.health() WHERE problem ~ 'no process could be started')), 'processes run out, and health says so');
sql('ALTER SYSTEM SET streamx.workers = 1; SELECT pg_reload_conf()');
exact('processes: with fewer workers');
ok($node->wait_until(q(SELECT count(*) = 0 FROM streamx.health() WHERE problem ~ 'no process could be started')), 'that was the cure');

$node->log_is_clean;
$node->stop;
done_testing();
