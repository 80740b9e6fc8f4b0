
# Native streams: what was committed counts exactly once, through restarts
# and crashes; and the processes of the server that keep views up to date.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

# ---- without shared_preload_libraries

my $node = StreamxCluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
restart_after_crash = on
log_statement = none
log_min_messages = info
log_line_prefix = '%m [%p] %b '
max_worker_processes = 16
max_prepared_transactions = 5
CONF
$node->start;

my $error = $node->error('CREATE EXTENSION streamx');
like($error, qr/shared_preload_libraries/,
	'CREATE EXTENSION tells what is missing');
like($error, qr/HINT: .*restart/s, '... and the cure');
is( $node->safe_psql('postgres',
		q(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'streamx%')),
	0, 'nothing is left behind');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'streamx'");
$node->restart;
ok( $node->wait_until(
		q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'streamx launcher')
	),
	'the launcher runs');
$node->safe_psql('postgres', 'CREATE EXTENSION streamx');

# ---- exactly once

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (ts timestamptz, k text, n bigint, x numeric) SERVER streamx
  OPTIONS (event_time 'ts', watermark '100 days');
CREATE TABLE batch (ts timestamptz, k text, n bigint, x numeric);
CREATE VIEW v WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*), sum(n) AS sum_n, avg(x) AS avg_x,
         min(k) AS min_k, stddev_samp(n) AS dev
  FROM s GROUP BY minute, k;
CREATE VIEW each_row WITH (streamx.continuous) AS SELECT n, k, x * 2 AS x2 FROM s WHERE n % 2 = 0;
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(n) AS sum_n, max(n) AS max_n FROM s;
SQL

is($node->safe_psql('postgres', 'TABLE total'),
	'0||', 'a view without GROUP BY has its row before any input');

my $next = 0;

# A transaction on both, with an end of the caller's.
sub insert
{
	my ($rows, $end) = @_;
	my $from = $next;

	$next += $rows;
	my $values =
	  "SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 second', 'key ' || i % 7, i, i / 3::numeric
	   FROM generate_series($from, $next - 1) AS i";
	return
	  "BEGIN; INSERT INTO s $values; INSERT INTO batch $values; " . ($end // 'COMMIT') . ';';
}

sub check
{
	my ($what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_) foreach qw(v each_row total);
		$node->same(
			'SELECT minute, k, count, sum_n, avg_x, min_k, round(dev::numeric, 6) FROM v',
			q(SELECT tumble(ts, '1 minute'), k, count(*), sum(n), avg(x), min(k),
			         round(stddev_samp(n)::numeric, 6) FROM batch GROUP BY 1, 2),
			'groups');
		$node->same('SELECT * FROM each_row',
			'SELECT n, k, x * 2 FROM batch WHERE n % 2 = 0', 'rows');
		$node->same('SELECT * FROM total',
			'SELECT count(*), sum(n), max(n) FROM batch', 'total');
	};
	return;
}

$node->safe_psql('postgres', insert(1000));
check('rows that were committed');
$node->safe_psql('postgres', insert(100, 'ROLLBACK'));
$node->safe_psql('postgres',
		'BEGIN; SAVEPOINT a; '
	  . "INSERT INTO s SELECT now(), 'gone', 1, 1 FROM generate_series(1, 50);"
	  . 'ROLLBACK TO a; '
	  . "INSERT INTO s VALUES ('2026-01-01', 'kept', 1, 1); INSERT INTO batch VALUES ('2026-01-01', 'kept', 1, 1); COMMIT;"
);
check('rows that were rolled back, to a savepoint too');

$node->safe_psql('postgres', insert(500));
$node->restart;
check('after a restart');

# many at once, and one that stays open meanwhile
my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; INSERT INTO s VALUES ('2026-01-01', 'late', 7, 7); INSERT INTO batch VALUES ('2026-01-01', 'late', 7, 7)");
$node->pgbench(
	'--no-vacuum --client=4 --transactions=50',
	0, [qr/processed: 200\/200/], [qr/^$/], 'concurrent inserts',
	{
		'insert' => q{
			\set n random(1, 1000)
			BEGIN;
			INSERT INTO s SELECT '2026-01-02', 'k' || :client_id, :n, :n FROM generate_series(1, 3);
			INSERT INTO batch SELECT '2026-01-02', 'k' || :client_id, :n, :n FROM generate_series(1, 3);
			COMMIT;
		}
	});
check('concurrent transactions, one of them open');
$open->query_safe('COMMIT');
$open->quit;
check('... and when that one commits at last');

foreach my $i (1 .. 3)
{
	$node->safe_psql('postgres', insert(700));
	$node->stop('immediate');
	$node->start;
	check("stop -m immediate right after COMMIT, $i");
}

foreach my $i (1 .. 3)
{
	my $pid = $node->worker('postgres');

	$node->safe_psql('postgres', insert(2000));
	$node->kill_worker($pid);
	check("kill -9 of a worker, $i");
}

$node->safe_psql('postgres', insert(300));
$node->crash;
$node->start;
check('kill -9 of the postmaster');

# ---- prepared transactions

$node->safe_psql('postgres', insert(100, q(PREPARE TRANSACTION 'a')));
$node->safe_psql('postgres', insert(100, q(PREPARE TRANSACTION 'b')));
check('prepared transactions do not count yet');
$node->restart;
$node->safe_psql('postgres', insert(10));
check('... nor after a restart');
$node->safe_psql('postgres', q(COMMIT PREPARED 'a'));
check('COMMIT PREPARED');
$node->safe_psql('postgres', q(ROLLBACK PREPARED 'b'));
$node->safe_psql('postgres', insert(10));
check('ROLLBACK PREPARED');

# ---- a commit is announced: nobody has to look for it

# Without news workers look at their streams when the clock's seconds come to a
# multiple of ten.  What is seen from one such moment to the next has been told
# to them; a machine that stands still meanwhile is given more tries.
sub round_now
{
	return int(clock_gettime(CLOCK_MONOTONIC) / 10);
}

sub told
{
	my ($name, $code) = @_;
	my $round;

	foreach my $try (1 .. 10)
	{
		$round = round_now();
		usleep(20_000) while round_now() == $round;
		$round = round_now();
		$code->();
		last if round_now() == $round;
	}
	return is(round_now(), $round, $name);
}

sub seen
{
	my ($table, $condition) = @_;

	return $node->wait_until("SELECT $condition FROM $table") || die "$table: rows are not seen";
}

told('a commit is told', sub {
	foreach (1 .. 3)
	{
		$node->safe_psql('postgres', insert(10));
		seen('total', "max_n = $next - 1");
		$node->safe_psql('postgres', insert(10, q(PREPARE TRANSACTION 'c')));
		$node->safe_psql('postgres', q(COMMIT PREPARED 'c'));
		seen('total', "max_n = $next - 1");
	}
});
check('rows that were told');

# Whatever a batch waits for takes what the worker's latch was set for: here it
# sleeps until it gets an advisory lock.
$node->set_conf('streamx.workers' => 1);
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION through_gate(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  WHILE NOT pg_try_advisory_xact_lock_shared(42) LOOP PERFORM pg_sleep(0.01); END LOOP;
  RETURN n;
END $$;
CREATE FOREIGN TABLE gated (n bigint) SERVER streamx;
CREATE VIEW behind_gate WITH (streamx.continuous) AS SELECT count(*), max(through_gate(n)) AS max_n FROM gated;
SQL
$node->caught_up('behind_gate');
ok( $node->wait_until(
		q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'streamx worker')),
	'one worker for both streams');
my $gate = $node->background_psql('postgres');
my $through = 0;
told('... also while the worker waits for something else', sub {
	my $waits = q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'streamx worker' AND wait_event = 'PgSleep');

	$through++;
	$gate->query_safe('SELECT pg_advisory_lock(42)');
	$node->safe_psql('postgres', "INSERT INTO gated VALUES ($through)");
	$node->wait_until($waits) or die 'the worker does not come to the gate';
	$node->safe_psql('postgres', insert(10));
	# it takes no notice; one that has not been woken yet would only prove less
	usleep(100_000);
	$node->wait_until($waits) or die 'the worker does not stay at the gate';
	$gate->query_safe('SELECT pg_advisory_unlock(42)');
	seen('behind_gate', "max_n = $through");
	seen('total', "max_n = $next - 1");
});
$gate->quit;
check('rows that came meanwhile');
$node->safe_psql('postgres', 'DROP VIEW behind_gate; DROP FOREIGN TABLE gated; DROP FUNCTION through_gate; ALTER SYSTEM RESET streamx.workers');
$node->reload;

# ---- the processes

is( $node->safe_psql('postgres',
		q(SELECT string_agg(DISTINCT backend_type, ', ' ORDER BY backend_type)
		  FROM pg_stat_activity WHERE backend_type LIKE 'streamx%')),
	'streamx launcher, streamx scheduler, streamx worker',
	'processes in pg_stat_activity');

my ($pid) = $node->pids('streamx worker', 'postgres');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok( $node->wait_until(
		"SELECT count(*) > 0 AND bool_and(pid <> $pid) FROM pg_stat_activity WHERE backend_type = 'streamx worker'"
	),
	'a worker that was terminated comes back');
$node->safe_psql('postgres', insert(10));
check('... and goes on');

my ($scheduler) = $node->pids('streamx scheduler', 'postgres');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($scheduler)");
ok( $node->wait_until(
		"SELECT count(*) > 0 AND bool_and(pid <> $scheduler) FROM pg_stat_activity WHERE backend_type = 'streamx scheduler'"
	),
	'a scheduler that was terminated comes back');
$node->safe_psql('postgres', insert(10));
check('... and its workers');

$node->set_conf('streamx.enabled' => 'off');
ok( $node->wait_until(
		q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'streamx worker')
	),
	'streamx.enabled = off ends the workers');
$node->safe_psql('postgres', insert(10));
$node->set_conf('streamx.enabled' => 'on');
check('streamx.enabled = on: goes on');

# ---- two databases

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', <<'SQL');
CREATE EXTENSION streamx;
CREATE FOREIGN TABLE s (a int) SERVER streamx;
CREATE VIEW v WITH (streamx.continuous) AS SELECT a % 3 AS a, count(*) FROM s GROUP BY 1;
INSERT INTO s SELECT generate_series(1, 300);
SQL
$node->caught_up('v', 60, 'other');
is($node->safe_psql('other', 'SELECT * FROM v ORDER BY a'),
	"0|100\n1|100\n2|100", 'a second database has views of its own');
$node->safe_psql('postgres', insert(10));
check('the first one goes on beside it');

# while its workers are busy
$node->safe_psql('other', 'INSERT INTO s SELECT generate_series(1, 500000)');
is($node->error('DROP DATABASE other'), '', 'DROP DATABASE while workers run in it');
ok( $node->wait_until(
		q(SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type LIKE 'streamx%')
	),
	'its workers are gone');
$node->safe_psql('postgres', insert(10));
check('the first database goes on');

# ---- DROP EXTENSION, and anew

is( $node->error('DROP EXTENSION streamx CASCADE'),
	'', 'DROP EXTENSION while workers run');
ok( $node->wait_until(
		q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'streamx worker')
	),
	'its workers are gone');
is( $node->safe_psql('postgres',
		q(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'streamx%')),
	0, 'nothing is left behind');
is($node->error('CREATE EXTENSION streamx'), '', 'CREATE EXTENSION again');
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (a int) SERVER streamx;
CREATE VIEW again WITH (streamx.continuous) AS SELECT count(*), sum(a) FROM s;
INSERT INTO s SELECT generate_series(1, 100);
SQL
$node->caught_up('again');
is($node->safe_psql('postgres', 'TABLE again'), '100|5050', 'it works again');

$node->log_is_clean;
$node->stop;
done_testing();
