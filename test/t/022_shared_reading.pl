
# Views of a stream that stand at different places, far behind its end, come
# together long before they are there: what is left is read once for all of them.
# Views that are together stay so while their results are analyzed.

use strict;
use warnings;

use FindBin;
use IPC::Run ();
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

use constant ROWS => 1_000_000;

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my $node = StreamxCluster->started('main', 'streamx.workers = 1', 'streamx.max_batch_rows = 20000', 'streamx.batch_history = 100000');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Rows that the view has read.
sub comes_to
{
	my ($view, $rows) = @_;
	return $node->wait_until("SELECT sum(next_offset) >= $rows FROM streamx.progress WHERE view = '$view'::regclass");
}

sub definition
{
	my ($view) = @_;
	return "CREATE VIEW $view WITH (streamx.continuous, streamx.start = 'earliest') AS
		SELECT k, count(*), sum(n) FROM numbers WHERE n % 1000 > 0 OR nap(n) GROUP BY k";
}

$kafka->create_topic('numbers', 2);
$kafka->produce('numbers', -1, map { "$_," . $_ % 7 } 1 .. ROWS);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE numbers (n int, k int) SERVER broker OPTIONS (topic 'numbers', format 'csv');
-- so that there is time to see them on their way
CREATE FUNCTION nap(n int) RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.003); RETURN true; END';
SQL
sql(definition('first'));
comes_to('first', 250_000);
sql(q(SELECT streamx.pause('first')));
sql(definition('second'));
comes_to('second', 50_000);
sql(q(SELECT streamx.pause('second')));
sql('BEGIN; ' . definition('third') . q(; SELECT streamx.resume('first'), streamx.resume('second'); COMMIT));

$node->caught_up($_) foreach qw(first second third);
$node->same("TABLE $_", 'SELECT k, count(*), sum(n) FROM (SELECT n, n % 7 AS k FROM generate_series(1, ' . ROWS . ') AS n) AS x GROUP BY k',
	"$_ is exact") foreach qw(first second third);
my $shared = sql(q(SELECT coalesce(sum(rows), 0) FROM streamx.batches WHERE views = 3));
cmp_ok($shared, '>', ROWS / 4, 'they have come together on their way');
note "$shared rows were read for all of them";

# The statistics of a result change its entry in the catalog: from a batch's first
# view to its last, 25 ms here, that would come between two of them.
sql(<<'SQL');
CREATE FOREIGN TABLE steady (n int) SERVER streamx;
CREATE FUNCTION slow(n int) RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.008); RETURN true; END';
SQL
my @steady = map { "steady$_" } 1 .. 3;
sql("CREATE VIEW $_ WITH (streamx.continuous) AS SELECT n, count(*) FROM steady WHERE slow(n) GROUP BY n") foreach @steady;
$node->caught_up($_) foreach @steady;
my $rows = 150;
my $insert = IPC::Run::start(
	[
		'psql', '-X', '-q', '-d', $node->connstr('postgres'),
		'-c', "DO 'BEGIN FOR i IN 1..$rows LOOP INSERT INTO steady VALUES (i); COMMIT; PERFORM pg_sleep(0.04); END LOOP; END'"
	]);
my $analyzed = sql(<<"SQL");
CREATE TABLE changes (n bigint);
DO \$\$
DECLARE
	before text;
	after text;
BEGIN
	FOR i IN 1 .. 100 LOOP
		SELECT string_agg(reltuples::text, ' ' ORDER BY relname) INTO before FROM pg_class WHERE relname LIKE 'steady_';
		ANALYZE steady1, steady2, steady3;
		SELECT string_agg(reltuples::text, ' ' ORDER BY relname) INTO after FROM pg_class WHERE relname LIKE 'steady_';
		INSERT INTO changes SELECT 1 WHERE before <> after;
		COMMIT;
		PERFORM pg_sleep(0.04);
	END LOOP;
END \$\$;
SELECT count(*) FROM changes;
SQL
cmp_ok($analyzed, '>', 10, 'statistics have changed while rows came');
$insert->finish;
$node->caught_up($_) foreach @steady;
$node->same("TABLE $_", "SELECT n, 1::bigint FROM generate_series(1, $rows) AS n", "$_ is exact") foreach @steady;
my $batches = "FROM streamx.batches WHERE stream = 'steady'::regclass AND rows > 0";
is(sql("SELECT count(*), sum(rows) $batches AND views <> 3"), '0|', 'no batch is one of some of the views');
cmp_ok(sql("SELECT count(*) $batches"), '>', 20, 'in more than one batch');
note sql("SELECT count(*) $batches") . " batches, $analyzed changes";

$node->log_is_clean;
$node->stop;
done_testing();
