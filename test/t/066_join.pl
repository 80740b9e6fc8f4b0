
# Joins of two streams are the same as in a batch when workers and the server
# are killed while rows are held, matched and expire.

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

# rows come up to four seconds late, the watermarks run five behind; rows of
# both sides expire all the time
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE l (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE FOREIGN TABLE r (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0');
CREATE TABLE l_batch (ts timestamptz, k int, n int);
CREATE TABLE r_batch (ts timestamptz, k int, n int);
CREATE VIEW pairs WITH (streamx.continuous) AS
  SELECT l.n AS l, r.n AS r FROM l JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s';
CREATE VIEW all_rows WITH (streamx.continuous) AS
  SELECT l.n AS l, r.n AS r FROM l FULL JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s';
CREATE VIEW sums WITH (streamx.continuous) AS
  SELECT l.k, count(*), count(r.n) AS matched, sum(r.n)
  FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s' GROUP BY l.k;
CREATE VIEW windows WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(l.ts, '10 s') AS w, count(*), count(r.n) AS matched, count(DISTINCT l.k) AS ks
  FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s' GROUP BY w;
CREATE VIEW levels WITH (streamx.continuous) AS
  SELECT matched, count(*) AS rows, sum(k) AS ks FROM (
    SELECT l.n, l.k, count(r.n) AS matched
    FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s' GROUP BY l.n, l.k) q
  GROUP BY matched;
CREATE VIEW top WITH (streamx.continuous) AS
  SELECT k, l, r FROM (
    SELECT l.k, l.n AS l, r.n AS r, row_number() OVER (PARTITION BY l.k ORDER BY r.ts DESC, l.n, r.n) AS rn
    FROM l JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s') q
  WHERE rn <= 3;
SQL

# rows of both streams, l or r first, in transactions of their own
sub insert
{
	my ($rows) = @_;
	my $from = $next;
	my @sql;

	$next += $rows;
	foreach my $stream ($rows % 2 ? qw(l r) : qw(r l))
	{
		my $values =
		  "SELECT timestamptz '2026-01-01Z' + i * interval '100 ms' + (i * 7919::bigint % 3989) * interval '1001 us',
		     i * " . ($stream eq 'l' ? 37 : 53) . " % 41, i FROM generate_series($from, $next - 1) AS i";
		push @sql, "BEGIN; INSERT INTO $stream $values; INSERT INTO ${stream}_batch $values; COMMIT;";
	}
	return join "\n", @sql;
}

# Is it what the batch gives, less the rows that may still get a partner?
sub check
{
	my ($what) = @_;
	my $watermark = "(SELECT least((SELECT max(ts) FROM l_batch), (SELECT max(ts) FROM r_batch)) - interval '5 s')";
	my $on = "l.k = r.k AND r.ts BETWEEN l.ts - interval '1 s' AND l.ts + interval '2 s'";
	my $sofar = "(r.n IS NOT NULL OR l.ts + interval '2 s' < $watermark)";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_) foreach qw(pairs all_rows sums windows levels top);
		$node->same('TABLE pairs', "SELECT l.n, r.n FROM l_batch l JOIN r_batch r ON $on", 'pairs');
		$node->same('TABLE all_rows',
			"SELECT l.n, r.n FROM l_batch l FULL JOIN r_batch r ON $on
			 WHERE l.n IS NOT NULL AND r.n IS NOT NULL OR l.ts + interval '2 s' < $watermark
			    OR r.ts + interval '1 s' < $watermark", 'rows without a partner');
		$node->same('TABLE sums',
			"SELECT l.k, count(*), count(r.n), sum(r.n) FROM l_batch l LEFT JOIN r_batch r ON $on
			 WHERE $sofar GROUP BY l.k", 'sums');
		$node->same('TABLE windows',
			"SELECT tumble(l.ts, '10 s') AS w, count(*), count(r.n), count(DISTINCT l.k)
			 FROM l_batch l LEFT JOIN r_batch r ON $on GROUP BY w
			 HAVING tumble(max(l.ts), '10 s') + interval '10 s' <=
			   (SELECT least($watermark, min(ts)) FROM l_batch WHERE ts + interval '2 s' >= $watermark)",
			'windows that no row can come to any more');
		$node->same('TABLE levels',
			"SELECT matched, count(*), sum(k) FROM (SELECT l.n, l.k, count(r.n) AS matched
			 FROM l_batch l LEFT JOIN r_batch r ON $on WHERE $sofar GROUP BY l.n, l.k) q GROUP BY matched",
			'groups of groups');
		$node->same('TABLE top',
			"SELECT k, l, r FROM (SELECT l.k, l.n AS l, r.n AS r,
			   row_number() OVER (PARTITION BY l.k ORDER BY r.ts DESC, l.n, r.n) AS rn
			 FROM l_batch l JOIN r_batch r ON $on) q WHERE rn <= 3", 'the first of each');
	};
	return;
}

$node->through_kills(\&insert, \&check);

is( $node->safe_psql('postgres',
		q(SELECT sum(rows_late), sum(dead_letters) FROM streamx.views)),
	'0|0', 'no row was late');
is( $node->safe_psql('postgres',
		q(SELECT count(*) FILTER (WHERE l IS NULL) > 100, count(*) FILTER (WHERE r IS NULL) > 100, count(l + r) > 100 FROM all_rows)),
	't|t|t', 'rows of all kinds have come');

# what is held is what can still be needed
my %held = $node->row_counts(
	q(SELECT oid::regclass FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^h[0-9]+_[12]$'));
is(scalar keys %held, 12, 'each view holds rows of both streams');
cmp_ok($held{$_}, '<', 500, "what has expired is gone: $_") foreach sort keys %held;

$node->log_is_clean;
$node->stop;
done_testing();
