
# What pg_dump carries along goes on where it stood, and is a continuous view
# again with all that belongs to it: its parts go with it, its key and its sink
# are protected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'max_worker_processes = 40');
my $dir = PostgreSQL::Test::Utils::tempdir('dump');
my @views = qw(appended derived distincts folded joined kept parted sunk windows);
my $next = 0;

sub insert
{
	my ($dbname) = @_;
	my $from = $next;
	my $values;

	$next += 300;
	$values = "SELECT i, i * 37 % 41, timestamptz '2026-01-01Z' + i * interval '100 ms' FROM generate_series($from, $next - 1) AS i";
	$node->safe_psql($dbname, "BEGIN; INSERT INTO s $values; INSERT INTO r $values; INSERT INTO rows $values; COMMIT;");
	return;
}

my %query = (
	appended => 'SELECT n FROM {s} WHERE n % 2 = 0',
	derived => 'SELECT k, c, rank() OVER (ORDER BY c DESC, k) AS rank FROM (SELECT k, count(*) AS c FROM {s} GROUP BY k) AS x',
	distincts => 'SELECT k % 3 AS g, count(DISTINCT k) AS ks FROM {s} GROUP BY 1',
	folded => 'SELECT max(sum) FROM {kept}',
	joined => "SELECT a.n AS a, b.n AS b FROM {s} AS a JOIN {r} AS b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '5 s'",
	kept => 'SELECT k, count(*), sum(n) FROM {s} GROUP BY k',
	parted => "SELECT tumble(ts, '5 s') AS w, k, count(*) FROM {s} GROUP BY w, k",
	sunk => 'SELECT k, max(n) AS n FROM {s} GROUP BY k',
	windows => "SELECT tumble(ts, '5 s') AS w, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM {s} GROUP BY w");

my %with = (parted => ", streamx.partition_period = '1 minute'", sunk => ", streamx.sink = 'sink'");

sub query
{
	my ($view, %from) = @_;
	return $query{$view} =~ s/\{(\w+)\}/$from{$1}/gr;
}

sub exact
{
	my ($dbname, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_, 60, $dbname) foreach @views;
		$node->same("TABLE $_", query($_, s => 'rows', r => 'rows', kept => '(' . query('kept', s => 'rows') . ') AS x'), $_, $dbname)
		  foreach @views;
	};
	return;
}

# what is there of views in the schema that is not for users
sub parts
{
	my ($dbname) = @_;
	return $node->safe_psql($dbname, q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relkind IN ('r', 'v') AND relname !~ '^[jn]'));
}

sub dependencies
{
	my ($dbname) = @_;
	return $node->safe_psql($dbname,
		q(SELECT string_agg(x, E'\n' ORDER BY x)
		  FROM (SELECT concat_ws(' ', pg_describe_object(classid, objid, objsubid), deptype, pg_describe_object(refclassid, refobjid, refobjsubid)) AS x FROM (SELECT d.* FROM pg_depend AS d JOIN streamx.continuous_views AS v ON d.refobjid = v.view AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
		    UNION ALL SELECT d.* FROM pg_depend AS d JOIN streamx.continuous_views AS v ON d.objid = v.view AND d.refobjid = v.sink) AS d) AS x));
}

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '2 s', idle_timeout '0', retain '1 hour');
CREATE FOREIGN TABLE r (n int, k int, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '2 s', idle_timeout '0');
CREATE FOREIGN TABLE sink (k int, n int) SERVER streamx;
CREATE FOREIGN TABLE ticks (i int) SERVER streamx;
CREATE TABLE rows (n int, k int, ts timestamptz);
SQL
foreach my $view (sort { ($a eq 'folded') <=> ($b eq 'folded') } @views)
{
	my $with = $with{$view} // '';

	$node->safe_psql('postgres', "CREATE VIEW $view WITH (streamx.continuous$with) AS " . query($view, s => 's', r => 'r', kept => 'kept'));
}
insert('postgres');
exact('postgres', 'before');
my $parts = parts('postgres');
my $dependencies = dependencies('postgres');
cmp_ok($parts, '>', 10, 'views have parts');
like($dependencies, qr/foreign table sink/, 'a view depends on its sink');

# ---- whole, in sections, with what it reads paused

system_or_bail('pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres'));
$node->safe_psql('postgres', "SELECT streamx.pause('windows')");
system_or_bail('pg_dump', '-Fc', '-f', "$dir/paused", $node->connstr('postgres'));
$node->safe_psql('postgres', "SELECT streamx.resume('windows')");

my $at = $next;
foreach my $way ('whole', 'in sections', 'schema, then data', 'paused')
{
	my $dbname = $way =~ s/\W+/_/gr;
	my $file = $way eq 'paused' ? 'paused' : 'dump';

	$next = $at;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	if ($way eq 'in sections')
	{
		foreach my $section (qw(pre-data data post-data))
		{
			system_or_bail('pg_restore', "--section=$section", '-d', $node->connstr($dbname), "$dir/$file");
			# what runs there meanwhile runs into what is not there yet
			next if $section ne 'data';
			$node->wait_until(q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'streamx worker' AND datname = current_database()), 20, $dbname);
			$node->wait_for_log(qr/has lost its (?:unique )?index/);
		}
	}
	elsif ($way =~ /schema/)
	{
		system_or_bail('pg_restore', '--schema-only', '-d', $node->connstr($dbname), "$dir/$file");
		$node->wait_until(q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'streamx scheduler' AND datname = current_database()), 20, $dbname);
		is($node->safe_psql($dbname, 'SELECT count(*) FROM streamx.views'), 0, "$way: tables alone are no views");
		system_or_bail('pg_restore', '--data-only', '-d', $node->connstr($dbname), "$dir/$file");
	}
	else
	{
		system_or_bail('pg_restore', '-d', $node->connstr($dbname), "$dir/$file");
	}
	ok($node->wait_until("SELECT count(*) = $parts FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relkind IN ('r', 'v') AND relname !~ '^[jn]'", 20, $dbname),
		"$way: all parts are there");
	is($node->safe_psql($dbname, q(SELECT string_agg(view || ': ' || error, ', ') FROM streamx.views WHERE error IS NOT NULL)), '', "$way: no view has an error");
	if ($way eq 'paused')
	{
		$node->wait_until(q(SELECT count(*) = 2 FROM pg_depend WHERE refobjid = 'windows'::regclass AND deptype = 'i' AND classid = 'pg_class'::regclass AND objid <> 0
			AND (SELECT relkind FROM pg_class WHERE oid = objid) <> 'i'), 20, $dbname);
		ok($node->safe_psql($dbname, "SELECT streamx.resume('windows')") eq '', 'a paused view goes on');
	}
	insert($dbname);
	exact($dbname, "$way: goes on exactly");
	is(dependencies($dbname), $dependencies, "$way: what belongs to the views does");
	like($node->error('DROP FOREIGN TABLE sink', $dbname), qr/depend/, "$way: the sink of a view cannot be dropped without it");
	like($node->error('DROP INDEX kept_key', $dbname), qr/ERROR/, "$way: nor the key of a view");
	$node->safe_psql($dbname, "DROP VIEW $_") foreach grep { $_ ne 'kept' } @views;
	$node->safe_psql($dbname, 'DROP VIEW kept');
	is(parts($dbname), 0, "$way: nothing is left of views that are dropped");
	$node->safe_psql('postgres', "DROP DATABASE $dbname");
}

# ---- the schema alone: views are created anew

$node->safe_psql('postgres', 'CREATE DATABASE anew');
system_or_bail('pg_restore', '--schema-only', '-d', $node->connstr('anew'), "$dir/dump");
$node->safe_psql('anew', "DROP TABLE $_ CASCADE") foreach @views;
$node->safe_psql('anew', 'CREATE VIEW kept WITH (streamx.continuous) AS ' . query('kept', s => 's'));
$node->safe_psql('anew', 'CREATE VIEW windows WITH (streamx.continuous) AS ' . query('windows', s => 's'));
insert('anew');
foreach my $view (qw(kept windows))
{
	$node->caught_up($view, 60, 'anew');
	$node->same("TABLE $view", query($view, s => 'rows'), "$view, created anew", 'anew');
}
$node->safe_psql('postgres', 'DROP DATABASE anew');

# ---- all but rows: empty views, which run from then on

system_or_bail('pg_dump', '-Fc', '-f', "$dir/empty", '--exclude-table-data=public.*', '--exclude-table-data=streamx_state.*',
	'--exclude-table-data=streamx.(dead_letters|late_rows)', $node->connstr('postgres'));
$node->safe_psql('postgres', 'CREATE DATABASE empty');
system_or_bail('pg_restore', '-d', $node->connstr('empty'), "$dir/empty");
is($node->safe_psql('empty', 'SELECT count(*) FROM streamx.views'), scalar @views, 'a dump without rows has the views');
is($node->safe_psql('empty', 'SELECT ' . join ' + ', map { "(SELECT count(*) FROM $_)" } 'rows', @views), 0, 'they are empty');
foreach my $round (1 .. 2)
{
	insert('empty');
	exact('empty', "a dump without rows: runs from then on, $round");
}
is(dependencies('empty'), $dependencies, 'a dump without rows: what belongs to the views does');
$node->safe_psql('postgres', 'DROP DATABASE empty');

# ---- a copy by CREATE DATABASE, which takes all along

$next = $at;
$node->safe_psql('postgres', 'CREATE DATABASE other');
system_or_bail('pg_restore', '-d', $node->connstr('other'), "$dir/dump");
$node->caught_up('kept', 60, 'other');
is($node->error('CREATE DATABASE copy TEMPLATE other'), '', 'CREATE DATABASE of a database in which workers run');
insert('copy');
exact('copy', 'the copy goes on');
$next = $at;
insert('other');
exact('other', 'the template goes on');

# ---- to another server, with rows that no view has read yet

$next = $at;
$node->safe_psql('postgres', 'CREATE DATABASE unread');
system_or_bail('pg_restore', '-d', $node->connstr('unread'), "$dir/dump");
$node->caught_up($_, 60, 'unread') foreach @views;
$node->set_conf('streamx.enabled' => 'off');
insert('unread');
system_or_bail('pg_dump', '-Fc', '-f', "$dir/unread", $node->connstr('unread'));
$node->log_is_clean;
$node->stop;
$node = StreamxCluster->started('second', "timezone = 'UTC'", 'max_worker_processes = 40');
$node->safe_psql('postgres', 'CREATE DATABASE unread');
system_or_bail('pg_restore', '-d', $node->connstr('unread'), "$dir/unread");
exact('unread', 'another server reads them');
insert('unread');
exact('unread', 'another server goes on');

$node->log_is_clean;
$node->stop;
done_testing();
