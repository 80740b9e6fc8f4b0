
# Sessions are the same as in a batch when workers and the server are killed
# while they grow, join and close.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $next = 0;
my $node = StreamxCluster->started('main', "TimeZone = 'UTC'");

# rows come up to four seconds late, the watermark runs five behind; sessions
# close all the time
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE TABLE batch (ts timestamptz, k int, n int);
CREATE VIEW merged WITH (streamx.continuous) AS
  SELECT k, session(ts, '3 s') AS w, count(*), sum(n) AS sum_n, max(ts) AS last FROM s GROUP BY k, w;
CREATE VIEW held WITH (streamx.continuous) AS
  SELECT k, session(ts, '3 s') AS w, count(*), array_agg(n ORDER BY n) AS ns FROM s GROUP BY k, w;
CREATE VIEW merged_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, session(ts, '3 s') AS w, count(*), sum(n) AS sum_n FROM s GROUP BY k, w;
CREATE VIEW held_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, session(ts, '3 s') AS w, count(*), array_agg(n ORDER BY n) AS ns FROM s GROUP BY k, w;
CREATE VIEW marked WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT session(ts, '200 ms') AS w, count(*) FROM s GROUP BY w;
SQL

sub insert
{
	my ($rows) = @_;
	my $from = $next;
	my $values;

	$next += $rows;
	$values =
	  "SELECT timestamptz '2026-01-01Z' + i * interval '100 ms' + (i * 7919::bigint % 3989) * interval '1001 us', i * 37 % 41, i
	   FROM generate_series($from, $next - 1) AS i";
	return "BEGIN; INSERT INTO s $values; INSERT INTO batch $values; COMMIT;";
}

# Is it what the batch gives; of final views, what has closed?
sub check
{
	my ($what) = @_;
	my $closed = "(SELECT max(ts) - interval '5 s' FROM batch)";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_) foreach qw(merged held merged_final held_final marked);
		$node->same('TABLE merged',
			"SELECT k, session(ts, '3 s') AS w, count(*), sum(n), max(ts) FROM batch GROUP BY k, w", 'merged');
		$node->same('TABLE held',
			"SELECT k, session(ts, '3 s') AS w, count(*), array_agg(n ORDER BY n) FROM batch GROUP BY k, w", 'held');
		$node->same('TABLE merged_final',
			"SELECT k, session(ts, '3 s') AS w, count(*), sum(n) FROM batch GROUP BY k, w
			 HAVING max(ts) + interval '3 s' <= $closed", 'merged, when they have closed');
		$node->same('TABLE held_final',
			"SELECT k, session(ts, '3 s') AS w, count(*), array_agg(n ORDER BY n) FROM batch GROUP BY k, w
			 HAVING max(ts) + interval '3 s' <= $closed", 'held, when they have closed');
		$node->same('TABLE marked',
			"SELECT session(ts, '200 ms') AS w, count(*), max(ts) + interval '200 ms' <= $closed FROM batch GROUP BY w",
			'marked as closed');
	};
	return;
}

$node->through_kills(\&insert, \&check);

is( $node->safe_psql('postgres',
		q(SELECT sum(rows_late), sum(dead_letters) FROM streamx.views)),
	'0|0', 'no row was late');
is( $node->safe_psql('postgres', q(SELECT count(*) > 1000 FROM merged_final)),
	't', 'sessions have closed');
my %kept = $node->row_counts('SELECT state FROM streamx.continuous_views');
is(scalar keys %kept, 5, 'each has a table of sessions');
cmp_ok($kept{$_}, '<', 300, "only open ones are kept: $_") foreach sort keys %kept;

$node->log_is_clean;
$node->stop;
done_testing();
