
# Results that are partitioned by a period are the same as in a batch, and no
# table is left behind or lost, when processes are killed while partitions are
# made and dropped; who reads does not wait, and what he reads is dropped later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxStops;
use Test::More;

my $node = StreamxCluster->started('main', "TimeZone = 'UTC'");
my $stops = StreamxStops->new($node);
my $query = "SELECT tumble(ts, '10 minutes') AS w, k, count(*), sum(n) FROM {s} GROUP BY 1, 2";
my $minute = 0;

$node->safe_psql('postgres', <<"SQL");
CREATE FOREIGN TABLE s (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE TABLE batch (ts timestamptz, k int, n int);
CREATE VIEW v WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours') AS
  ${\($query =~ s/\{s\}/s/r)};
CREATE VIEW f WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours', streamx.emit = 'final') AS
  ${\($query =~ s/\{s\}/s/r)};
SQL

# rows of another hour, each batch moves the watermark by it
sub feed
{
	my $rows = "SELECT '2026-01-01 00:00Z'::timestamptz + (i % 60 + $minute) * interval '1 minute', i % 3, i FROM generate_series(0, 119) AS i";

	$node->safe_psql('postgres', "BEGIN; INSERT INTO s $rows; INSERT INTO batch $rows; COMMIT");
	$minute += 60;
	return;
}

sub partitions
{
	my ($view) = @_;

	return "SELECT relid FROM pg_partition_tree('$view') WHERE isleaf ORDER BY relid::text";
}

# What is younger than retention and a period is there, in partitions; no other table.
sub check
{
	my ($name) = @_;
	my $now = "(SELECT max(ts) FROM batch)";
	my $windows = "w > $now - interval '2 hours'";
	my $batch = $query =~ s/\{s\}/batch/r;

	$node->caught_up($_) foreach 'v', 'f';
	$node->same("SELECT * FROM v WHERE $windows", "SELECT * FROM ($batch) q WHERE $windows", "$name: rows");
	$node->same("SELECT * FROM f WHERE $windows",
		"SELECT * FROM ($batch) q WHERE $windows AND w + interval '10 minutes' <= $now", "$name: final rows");
	is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^[vf]_2' AND NOT relispartition)),
		'0', "$name: no table is left behind");
	is($node->safe_psql('postgres', "SELECT min(w) >= $now - interval '4 hours' FROM v"), 't', "$name: what is past is dropped");
	return;
}

foreach my $hour (1 .. 5)
{
	feed();
	$node->caught_up($_) foreach 'v', 'f';
}
check('undisturbed');

foreach my $view ('v', 'f')
{
	foreach my $point ('after_merge', 'retention', 'before_progress')
	{
		$stops->arm($point, 'wait', $view);
		feed();
		my $pid = $stops->reached($point);
		ok($pid, "$view gets to $point") or next;
		$stops->strike('worker', $pid);
		check("killed at $point of $view");
	}
}
foreach my $point ('before_commit', 'after_commit')
{
	$stops->arm($point, 'wait');
	feed();
	ok($stops->reached($point), "a batch gets to $point") or next;
	$stops->strike('postmaster');
	check("the server killed at $point");
}

# ---- a reader

my $before = $node->rows(partitions('v'));
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM v');
foreach my $hour (1 .. 3)
{
	feed();
	$node->caught_up('v');
}
is($node->safe_psql('postgres', "SELECT count(*) FROM unnest('{" . join(',', split /\n/, $before) . "}'::text[]) AS t WHERE to_regclass(t) IS NULL"),
	'0', 'nothing is dropped that somebody reads');
$reader->query_safe('COMMIT');
$reader->quit;
foreach my $hour (1 .. 2)
{
	feed();
	$node->caught_up('v');
}
check('after a reader');

$node->safe_psql('postgres', 'DROP VIEW v; DROP TABLE f');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname ~ '^[vf]_2')), '0', 'they go with their views');
$node->log_is_clean($stops->killed);
$node->stop;
done_testing();
