
# Copies of a database whose views run: a base backup taken meanwhile, a standby
# that is promoted, recovery to a restore point, CREATE DATABASE ... TEMPLATE, dumps
# of the schema and of the data, and of all but rows.  Each goes on exactly where its tables stand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('copies');
my $main = StreamxCluster->new('main');
my $settings = <<'CONF';
shared_preload_libraries = 'streamx'
log_line_prefix = '%m [%p] %b '
log_min_messages = info
max_worker_processes = 32
restart_after_crash = on
timezone = 'UTC'
CONF
$main->init(allows_streaming => 1, has_archiving => 1);
$main->append_conf('postgresql.conf', $settings);
$main->start;

# view -> options, query; {s} is a stream, or all rows in a table
my %view = (
	each => ['', 'SELECT n, k FROM {s} WHERE n % 7 = 0'],
	kept => ['', 'SELECT k, count(*), sum(n) FROM {s} GROUP BY k'],
	named => ['', 'SELECT name, count(*), max(n) FROM {s} JOIN names USING (k) GROUP BY name'],
	ranked => ['', 'SELECT k, c, rank() OVER (ORDER BY c DESC, k) AS rank FROM (SELECT k, count(*) AS c FROM {s} GROUP BY k) AS x'],
	final => [", streamx.emit = 'final'", "SELECT tumble(ts, '5 s') AS w, k % 3 AS g, count(*), sum(n) FROM {s} GROUP BY 1, 2"],
	final_held => [", streamx.emit = 'final'", "SELECT tumble(ts, '5 s') AS w, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM {s} GROUP BY 1"]);
my @views = map { ("s_$_", "k_$_") } sort keys %view;

sub query
{
	my ($view, $of) = @_;
	my ($stream, $name) = $view =~ /^(\w)_(.*)$/;
	my ($options, $query) = @{ $view{$name} };

	$query =~ s/\{s\}/$of/;
	return $query if !defined $options || $options eq '' || $of eq $stream;
	return "SELECT * FROM ($query) AS q WHERE w + interval '5 s' <= (SELECT watermark FROM streamx.views WHERE view = '$view'::regclass)";
}

my $setup = <<"SQL";
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '2 s', idle_timeout '0', retain '1 hour');
CREATE FOREIGN TABLE k (n int, k int, ts timestamptz) SERVER broker
  OPTIONS (topic 'k', format 'csv', event_time 'ts', watermark '2 s', idle_timeout '0');
CREATE TABLE rows (n int, k int, ts timestamptz);
CREATE TABLE names AS SELECT k, 'name ' || k % 4 AS name FROM generate_series(0, 40) AS k;
SQL

$kafka->create_topic('k', 1);
$main->safe_psql('postgres', "CREATE EXTENSION streamx; $setup");
foreach my $view (@views)
{
	my ($stream, $name) = $view =~ /^(\w)_(.*)$/;
	$main->safe_psql('postgres', "CREATE VIEW $view WITH (streamx.continuous$view{$name}[0]) AS " . query($view, $stream));
}

# ---- rows: of s what is in the table rows; of k all that was produced

my @produced;

sub row
{
	my ($n) = @_;
	return sprintf '%d,%d,2026-01-01 00:%02d:%02d.%03dZ', $n, $n * 37 % 41, $n / 600 % 60, $n / 10 % 60, $n % 10 * 100;
}

sub produce
{
	my ($count) = @_;
	my $from = @produced;

	push @produced, map { row($_) } $from .. $from + $count - 1;
	$kafka->produce('k', 0, @produced[ $from .. $#produced ]);
	return;
}

sub insert_sql
{
	my ($count) = @_;
	my $values = "SELECT i, i * 37 % 41, timestamptz '2026-01-01Z' + i * interval '100 ms'
		FROM (SELECT coalesce(max(n) + 1, 0) AS first FROM rows) AS x, generate_series(first, first + $count - 1) AS i";

	# the same rows to both: rows first, the stream from there
	return "BEGIN; LOCK TABLE rows IN EXCLUSIVE MODE; WITH r AS (INSERT INTO rows $values RETURNING *) INSERT INTO s SELECT * FROM r; COMMIT;";
}

sub feed
{
	my ($node, $dbname) = @_;

	$node->safe_psql($dbname // 'postgres', insert_sql(200));
	produce(200);
	return;
}

# a session that inserts small transactions until it is told to stop
sub feeder
{
	my ($node) = @_;
	my $file = "$dir/insert.sql";

	PostgreSQL::Test::Utils::append_to_file($file, insert_sql(20) =~ s/\n/ /gr) if !-e $file;
	return IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', '60', '-f', $file, $node->connstr('postgres') ],
		'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}

sub exact
{
	my ($node, $what, $dbname) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return subtest $what => sub {
		$dbname //= 'postgres';
		$node->rows("CREATE TABLE produced (n int, k int, ts timestamptz)", $dbname);
		PostgreSQL::Test::Utils::append_to_file("$dir/produced.$what.csv", join('', map { "$_\n" } @produced));
		$node->safe_psql($dbname, "TRUNCATE produced; COPY produced FROM '$dir/produced.$what.csv' (FORMAT csv)");
		$node->caught_up($_, 120, $dbname) foreach @views;
		$node->same("TABLE $_", query($_, /^s/ ? 'rows' : 'produced'), $_, $dbname) foreach @views;
		is($node->safe_psql($dbname, q(SELECT string_agg(view || ' ' || coalesce(error, ''), ', ') FROM streamx.views WHERE state = 'stopped' OR rows_late > 0 OR dead_letters > 0)), '', 'nothing is wrong');
	};
}

feed($main);
exact($main, 'before');

# ---- a base backup and a restore point while rows come

my $feeder = feeder($main);
feed($main);
$main->backup('base');
feed($main);
$main->safe_psql('postgres', insert_sql(100) . q( CREATE TABLE point AS SELECT count(*) AS n FROM rows; SELECT pg_create_restore_point('here')));
feed($main);

# ---- a standby, promoted while rows come

my $standby = StreamxCluster->new('standby');
$standby->init_from_backup($main, 'base', has_streaming => 1);
$standby->start;
feed($main);
is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^streamx')), 0, 'nothing of ours runs on a standby');
cmp_ok($standby->safe_psql('postgres', 'SELECT count(*) FROM streamx.views'), '==', scalar @views, 'its views can be looked at');
like($standby->error(q(SELECT streamx.pause('s_kept'))), qr/read-only|recovery/, 'but not paused');
like($standby->error(q(SELECT streamx.resume('s_kept'))), qr/read-only|recovery/, 'nor resumed');
like($standby->error(q(SELECT streamx.rebuild('s_kept'))), qr/read-only|recovery/, 'nor rebuilt');
is($standby->safe_psql('postgres', q(SELECT streamx.wait('s_kept', '1 s'))), 'f', 'wait waits in vain');
ok($standby->wait_until('SELECT count(*) > 1000 FROM s_each', 60), 'what is written at the primary is seen');
$main->wait_for_catchup($standby, 'write');
$standby->promote;
feed($main);
feed($standby);
exact($standby, 'promoted');
$feeder->kill_kill;
exact($main, 'the primary');
feed($standby);
exact($standby, 'promoted, and goes on');
$standby->log_is_clean;
$standby->stop;

# ---- recovery to a point in time

$main->safe_psql('postgres', 'SELECT pg_switch_wal()');
my $pitr = StreamxCluster->new('pitr');
$pitr->init_from_backup($main, 'base', has_restoring => 1, standby => 0);
$pitr->append_conf('postgresql.conf', "recovery_target_name = 'here'\nrecovery_target_action = 'promote'\n");
$pitr->start;
ok($pitr->wait_until('SELECT NOT pg_is_in_recovery()', 60), 'recovery to a restore point');
cmp_ok($pitr->safe_psql('postgres', 'SELECT count(*) FROM rows'), '>=', $main->safe_psql('postgres', 'SELECT n FROM point'), 'has what was there then');
cmp_ok($pitr->safe_psql('postgres', 'SELECT count(*) FROM rows'), '<', $main->safe_psql('postgres', 'SELECT count(*) FROM rows'), 'and no more');
exact($pitr, 'recovered');
feed($pitr);
exact($pitr, 'recovered, and goes on');
$pitr->log_is_clean;
$pitr->stop;

# ---- the backup alone

my $backup = StreamxCluster->new('backup');
$backup->init_from_backup($main, 'base');
$backup->start;
exact($backup, 'backup');
$backup->stop;

# ---- CREATE DATABASE ... TEMPLATE: both read the topic

is($main->error('CREATE DATABASE copy TEMPLATE postgres', 'template1'), '', 'a copy of the database');
feed($main);
feed($main, 'copy');
exact($main, 'the template');
exact($main, 'the copy', 'copy');

# ---- dumps of the schema, and of the data into it

my $connstr = $main->connstr('copy');
system_or_bail('pg_dump', '-Fc', '-f', "$dir/dump", $connstr);
$main->safe_psql('postgres', 'CREATE DATABASE restored');
system_or_bail('pg_restore', '--schema-only', '-d', $main->connstr('restored'), "$dir/dump");
system_or_bail('pg_restore', '--data-only', '-d', $main->connstr('restored'), "$dir/dump");
feed($main, 'restored');
exact($main, 'schema and then data', 'restored');

# ---- a dump of all but the views' rows: empty views, which run from where the dump stood

my $from = scalar @produced;
my $from_native = $main->safe_psql('copy', 'SELECT max(n) + 1 FROM rows');
system_or_bail('pg_dump', '-Fc', '-f', "$dir/empty", '--exclude-table-data=public.(s|k)_*', '--exclude-table-data=streamx_state.*', $connstr);
$main->safe_psql('postgres', 'CREATE DATABASE empty');
system_or_bail('pg_restore', '-d', $main->connstr('empty'), "$dir/empty");
is($main->safe_psql('empty', 'SELECT ' . join ' + ', map { "(SELECT count(*) FROM $_)" } @views), 0, 'a dump without rows: the views are empty');
feed($main, 'empty') for 1 .. 2;
$main->safe_psql('empty', "TRUNCATE produced");
PostgreSQL::Test::Utils::append_to_file("$dir/produced.later.csv", join('', map { "$_\n" } @produced));
$main->safe_psql('empty', "COPY produced FROM '$dir/produced.later.csv' (FORMAT csv)");
foreach my $view (@views)
{
	my ($table, $first) = $view =~ /^s/ ? ('rows', $from_native) : ('produced', $from);
	# of a window that was open when the dump was made, the earlier rows may be read again
	my $begun = $view =~ /final/ ? "WHERE w >= (SELECT min(ts) FROM $table WHERE n >= $first)" : '';

	$main->caught_up($view, 120, 'empty');
	$main->same("SELECT * FROM $view $begun", 'SELECT * FROM (' . query($view, "(SELECT * FROM $table WHERE n >= $first) AS x") . ") AS y $begun",
		"a dump without rows: $view runs from then on", 'empty');
}

# the schema alone: streams take rows in, and views can be made over them
$main->safe_psql('postgres', 'CREATE DATABASE bare');
system_or_bail('pg_restore', '--schema-only', '-d', $main->connstr('bare'), "$dir/dump");
is($main->safe_psql('bare', 'SELECT count(*) FROM streamx.views'), 0, 'the schema alone has no continuous views');
$main->safe_psql('bare', 'CREATE VIEW anew WITH (streamx.continuous) AS SELECT k, count(*) FROM s GROUP BY k');
feed($main, 'bare');
$main->caught_up('anew', 60, 'bare');
$main->same('TABLE anew', 'SELECT k, count(*) FROM rows GROUP BY k', 'but they can be made', 'bare');

$main->log_is_clean;
$main->stop;
done_testing();
