
# Derived views are the same as in a batch when workers and the server are
# killed while their groups grow, and when views are paused.

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

# each over a stream or a table; final: without what has not closed
my %query = (
	nested => "SELECT g, max(c) AS most, count(*) AS ks, sum(total) AS total, array_agg(c ORDER BY k) AS cs
		FROM (SELECT k % 5 AS g, k, count(*) AS c, sum(n) AS total FROM {s} GROUP BY 1, 2) q GROUP BY g",
	whole => "SELECT c, count(*) AS ks FROM (SELECT k, count(*) AS c FROM {s} GROUP BY k) q GROUP BY c",
	top => "SELECT w, k, c, rn FROM (SELECT w, k, c, row_number() OVER (PARTITION BY w ORDER BY c DESC, k) AS rn
		FROM (SELECT date_trunc('minute', ts) AS w, k, count(*) AS c FROM {s} GROUP BY 1, 2) a) b WHERE rn <= 3",
	latest => "SELECT DISTINCT ON (k) k, ts, n FROM {s} ORDER BY k, ts DESC, n DESC",
	marked => "SELECT w, max(c) AS most, sum(c) AS rows
		FROM (SELECT tumble(ts, '5 s') AS w, k, count(*) AS c FROM {s} GROUP BY 1, 2) q GROUP BY w",
	closed => "SELECT w, k, c, rn FROM (SELECT w, k, c, row_number() OVER (PARTITION BY w ORDER BY c DESC, k) AS rn
		FROM (SELECT tumble(ts, '5 s') AS w, k, count(*) AS c FROM {s} GROUP BY 1, 2) a) b WHERE rn <= 3",
	closed_rows => "SELECT DISTINCT ON (tumble(ts, '5 s'), k) tumble(ts, '5 s') AS w, k, n
		FROM {s} ORDER BY tumble(ts, '5 s'), k, ts DESC, n DESC");
my %option = (
	marked => ", streamx.final_column = 'closed'",
	closed => ", streamx.emit = 'final'",
	closed_rows => ", streamx.emit = 'final'");
my @views = sort keys %query;

sub query
{
	my ($view, $from) = @_;
	return $query{$view} =~ s/\{s\}/$from/gr;
}

# rows come up to four seconds late, the watermark runs five behind; windows
# close all the time
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 hour');
CREATE TABLE batch (ts timestamptz, k int, n int);
SQL
foreach my $view (@views)
{
	my $with = 'streamx.continuous' . ($option{$view} // '');

	$node->safe_psql('postgres', "CREATE VIEW $view WITH ($with) AS " . query($view, 's'));
}
is($node->safe_psql('postgres', q(SELECT count(*) FROM streamx.continuous_views WHERE parts <> '{}')),
	scalar @views, 'all are derived');

# views over others, which emit final rows
my %source = (
	fives => '',
	fives_final => ", streamx.emit = 'final'",
	fives_kept => ", streamx.retention = '7 s'");
my %over = (
	over_update => ['fives', '20 s'],
	over_final => ['fives_final', '20 s'],
	over_kept => ['fives_kept', '20 s'],
	bare => ['fives_final', '5 s'],
	level2 => ['over_final', '1 minute']);

foreach my $view (sort keys %source)
{
	$node->safe_psql('postgres', "CREATE VIEW $view WITH (streamx.continuous$source{$view}) AS
		SELECT tumble(ts, '5 s') AS w, k % 7 AS k, count(*)::numeric AS n FROM s GROUP BY 1, 2");
}
foreach my $view (qw(over_update over_final over_kept bare level2))
{
	my ($from, $size) = @{$over{$view}};
	my $w = $view eq 'bare' ? 'w' : "tumble(w, '$size')";

	$node->safe_psql('postgres', "CREATE VIEW $view WITH (streamx.continuous, streamx.emit = 'final') AS
		SELECT $w AS w, k, sum(n) AS n FROM $from GROUP BY 1, k");
}

sub insert
{
	my ($rows) = @_;
	my $from = $next;
	my $values;

	$next += $rows;
	$values =
	  "SELECT timestamptz '2026-01-01Z' + i * interval '100 ms' + (i * 7919::bigint % 3989) * interval '1001 us', i::bigint * i * 37 % 61, i
	   FROM generate_series($from, $next - 1) AS i";
	return "BEGIN; INSERT INTO s $values; INSERT INTO batch $values; COMMIT;";
}

# Is it what the batch gives; of final views, what has closed?
sub check
{
	my ($what) = @_;
	my $closed = "w + interval '5 s' <= (SELECT max(ts) - interval '5 s' FROM batch)";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_) foreach @views;
		foreach my $view (@views)
		{
			my $query = query($view, 'batch');

			$query = "SELECT * FROM ($query) AS b WHERE $closed" if $view =~ /^closed/;
			$query = "SELECT *, $closed FROM ($query) AS b" if $view eq 'marked';
			$node->same("TABLE $view", $query, $view);
		}
		$node->caught_up($_) foreach sort keys %over;
		foreach my $view (sort keys %over)
		{
			my $size = $over{$view}[1];

			$node->same("TABLE $view", "SELECT * FROM (SELECT tumble(ts, '$size') AS w, k % 7 AS k, count(*)::numeric AS n
				FROM batch GROUP BY 1, 2) AS b WHERE w + interval '$size' <= (SELECT max(ts) - interval '5 s' FROM batch)", $view);
		}
	};
	return;
}

$node->through_kills(\&insert, \&check);

# some of them stand still while rows come, and the server goes
$node->safe_psql('postgres', "SELECT streamx.pause('$_')") foreach qw(nested latest closed closed_rows over_kept fives_final);
$node->safe_psql('postgres', insert(600)) for 1 .. 2;
$node->caught_up('top');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', insert(50));
$node->safe_psql('postgres', "SELECT streamx.resume('$_')") foreach qw(nested latest closed closed_rows over_kept fives_final);
check('paused and resumed');


is( $node->safe_psql('postgres',
		q(SELECT sum(rows_late), sum(dead_letters) FROM streamx.views)),
	'0|0', 'no row was late');
is( $node->safe_psql('postgres', q(SELECT count(*) > 300 FROM closed)),
	't', 'windows have closed');
foreach my $view (@views, sort keys %over)
{
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM streamx.verify('$view')");

	is("$rc|$out", '0|0', "$view verifies") or diag($err);
}

$node->log_is_clean;
$node->stop;
done_testing();
