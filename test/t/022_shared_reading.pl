
# Views of a stream that stand at different places, far behind its end, come
# together long before they are there: what is left is read once for all of them.

use strict;
use warnings;

use FindBin;
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

$node->log_is_clean;
$node->stop;
done_testing();
