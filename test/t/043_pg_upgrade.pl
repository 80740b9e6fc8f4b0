
# pg_upgrade from an older major: streams, views of all kinds, rows that no
# view has read yet, open windows, dead letters and sinks go on where they
# stood, exactly.
#
# oldinstall: the older PostgreSQL's installation, with streamx in it (parent of
# its bin); scripts/test-majors sets it.  Without one there is nothing to test.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $oldinstall = $ENV{oldinstall};

plan skip_all => 'oldinstall names no installation of an older PostgreSQL'
  if !defined $oldinstall || $oldinstall eq '';

require StreamxKafka;
my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my @settings = ("shared_preload_libraries = 'streamx'", "timezone = 'UTC'", 'max_worker_processes = 40',
	'log_min_messages = info', "log_line_prefix = '%m [%p] %b '", 'restart_after_crash = on', 'streamx.max_batch_rows = 400');

sub made
{
	my ($name, @options) = @_;
	my $cluster = StreamxCluster->new($name, @options);
	my $initdb = $cluster->installed_command('initdb');
	my @plain = `$initdb --help` =~ /no-data-checksums/ ? ('--no-data-checksums') : ();

	$cluster->init(extra => [ '--locale=C', '--encoding=UTF8', @plain ]);
	$cluster->append_conf('postgresql.conf', join "\n", @settings, '');
	return $cluster;
}

my $old = made('old', install_path => $oldinstall);
my $new = made('new');
my $node = $old;
my $next = 0;

if ($old->pg_version >= $new->pg_version)
{
	plan skip_all => 'oldinstall is no older PostgreSQL: ' . $old->pg_version;
}
note 'from PostgreSQL ' . $old->pg_version . ' to ' . $new->pg_version;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# A row, the same to tables, native streams and topics; some come late.
my $columns = q(i AS n, i * 37 % 41 AS k, timestamptz '2026-01-01Z' + (i - i * 7 % 13) * interval '100 ms' AS ts,
	CASE WHEN i % 11 <> 0 THEN (i % 97) * interval '1 min' END AS d, CASE WHEN i % 13 <> 0 THEN i * 1.25 END AS x, 't' || i % 19 AS t);

sub insert
{
	my ($count) = @_;
	my $from = $next;
	my $values;

	$next += $count;
	$values = "SELECT $columns FROM generate_series($from, $next - 1) AS i";
	sql("BEGIN; INSERT INTO s $values; INSERT INTO r $values; INSERT INTO rows $values; COMMIT;");
	$kafka->produce('events', $_ % 3, split /\n/, sql("SELECT row_to_json(v) FROM ($values) AS v WHERE n % 3 = $_ % 3"))
	  foreach 0 .. 2;
	return;
}

my %query = (
	appended => 'SELECT n, t FROM {s} WHERE n % 2 = 0',
	averages => 'SELECT k, count(*), sum(d) AS sd, avg(d) AS ad, avg(x) AS ax, stddev(x) AS sx, sum(n::bigint) AS sn, var_pop(n) AS vn, avg(n::bigint) AS an, min(t), max(ts), bool_and(n > 5), regr_slope(n, k) IS NULL AS f FROM {s} GROUP BY k',
	collected => q(SELECT k, length(string_agg(t, ',')) AS len, cardinality(array_agg(n)) AS c, sum(DISTINCT n % 7) AS s FROM {s} GROUP BY k),
	derived => 'SELECT k, c, rank() OVER (ORDER BY c DESC, k) AS rank FROM (SELECT k, count(*) AS c, array_agg(n ORDER BY n) FROM {s} GROUP BY k) AS x',
	distincts => 'SELECT k % 3 AS g, count(DISTINCT k) AS ks, count(DISTINCT t) AS ts FROM {s} GROUP BY 1',
	folded => 'SELECT max(sn) FROM {averages}',
	hops => "SELECT hop(ts, '1 s', '5 s') AS w, count(*), avg(d) AS d FROM {s} GROUP BY w",
	joined => "SELECT a.n AS a, b.n AS b FROM {s} AS a JOIN {r} AS b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '5 s'",
	sets => 'SELECT k % 5 AS k, t, GROUPING(k % 5, t) AS g, count(*), sum(x) FROM {s} GROUP BY GROUPING SETS ((k % 5), (t), ())',
	sunk => 'SELECT k, max(n) AS n FROM {s} GROUP BY k',
	windows => "SELECT tumble(ts, '5 s') AS w, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM {s} GROUP BY w",
	k_averages => 'SELECT k, count(*), sum(d) AS d, avg(x) AS x FROM {e} GROUP BY k',
	k_sent => 'SELECT n, t FROM {e} WHERE n % 3 <> 0',
	k_windows => "SELECT tumble(ts, '5 s') AS w, k % 4 AS k, count(*), avg(x) AS x, string_agg(DISTINCT t, ',' ORDER BY t) AS t FROM {e} GROUP BY 1, 2");
my %final = (
	closed => "SELECT tumble(ts, '5 s') AS w, k % 4 AS k, count(*) AS c, avg(d) AS d FROM {s} GROUP BY 1, 2",
	k_closed => "SELECT tumble(ts, '5 s') AS w, k % 4 AS k, count(*) AS c, sum(x) AS x FROM {e} GROUP BY 1, 2");
my %sink = (sunk => 'native_sink', k_sent => 'topic_sink');
my @views = sort keys %query;
my @all = (@views, sort keys %final);

sub query
{
	my ($sql, %from) = @_;
	return $sql =~ s/\{(\w+)\}/$from{$1}/gr;
}

sub same_query
{
	my ($sql) = @_;
	return query($sql, s => 'rows', r => 'rows', e => 'rows', averages => '(' . query($query{averages}, s => 'rows') . ') AS y');
}

sub exact
{
	my ($what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		foreach my $view (@all)
		{
			$node->caught_up($view);
			$node->same(
				exists $query{$view} ? "TABLE $view" : "SELECT w, k, c, (to_jsonb($view) - '{w,k,c}'::text[])::text FROM $view",
				exists $query{$view} ? same_query($query{$view}) : 'SELECT w, k, c, (to_jsonb(z) - \'{w,k,c}\'::text[])::text FROM ('
				  . same_query($final{$view}) . ") AS z WHERE w + interval '5 s' <= (SELECT watermark FROM streamx.views WHERE view = '$view'::regclass)",
				$view);
		}
		ok($node->wait_until("SELECT sink_lag = 0 FROM streamx.views WHERE view = 'k_sent'::regclass", 40), 'all is sent');
		is(join("\n", sort map { $_->{value} } $kafka->consume('sent')),
			join("\n", sort split /\n/, sql('SELECT row_to_json(v) FROM (' . same_query($query{k_sent}) . ') AS v')),
			'the topic has each row once');
		is(sql(q(SELECT string_agg(concat_ws(' ', view, state, sqlstate, error), ', ') FROM streamx.views WHERE state NOT IN ('running', 'catching up'))), '', 'all views run');
	};
	return;
}

# ---- in the older one

$old->start;
$kafka->create_topic('events', 3);
$kafka->create_topic('sent', 2);
sql('CREATE EXTENSION streamx');
my $stream = '(n int, k int, ts timestamptz, d interval, x numeric, t text)';
my $watermark = "event_time 'ts', watermark '4 s', idle_timeout '0'";
sql(<<"SQL");
CREATE ROLE owner LOGIN;
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE s $stream SERVER streamx OPTIONS ($watermark, retain '1 hour');
CREATE FOREIGN TABLE r $stream SERVER streamx OPTIONS ($watermark);
CREATE FOREIGN TABLE e $stream SERVER broker OPTIONS (topic 'events', $watermark);
CREATE FOREIGN TABLE typed (a int, n int) SERVER streamx;
CREATE FOREIGN TABLE native_sink (k int, n int) SERVER streamx;
CREATE FOREIGN TABLE topic_sink (n int, t text) SERVER broker OPTIONS (topic 'sent');
CREATE TABLE rows $stream;
SQL
sql("CREATE VIEW $_->[0] WITH (streamx.continuous"
	  . (exists $sink{ $_->[0] } ? ", streamx.sink = '$sink{$_->[0]}'" : '')
	  . (exists $final{ $_->[0] } ? ", streamx.emit = 'final'" : '') . ') AS '
	  . query($_->[1], s => 's', r => 'r', e => 'e', averages => 'averages'))
  foreach map { [ $_, $query{$_} // $final{$_} ] } sort { ($a eq 'folded') <=> ($b eq 'folded') || $a cmp $b } @all;
# a stream that has lost a column, one row of it that fails
sql('ALTER FOREIGN TABLE typed DROP COLUMN a; CREATE VIEW ratios WITH (streamx.continuous) AS SELECT 100 / n AS q FROM typed; INSERT INTO typed VALUES (5), (0)');
sql('ALTER TABLE appended OWNER TO owner; GRANT SELECT ON s TO owner');
insert(1000);
exact('before');
$old->caught_up('ratios');
is(sql('SELECT count(*) FROM streamx.dead_letters'), 1, 'a dead letter');
my $objects = q(SELECT string_agg(x, E'\n' ORDER BY x) FROM (
	SELECT concat_ws(' ', pg_describe_object(classid, objid, objsubid), deptype, pg_describe_object(refclassid, refobjid, refobjsubid)) AS x
	FROM (SELECT d.* FROM pg_depend AS d JOIN streamx.continuous_views AS v ON d.refobjid = v.view AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT d.* FROM pg_depend AS d JOIN streamx.continuous_views AS v ON d.objid = v.view AND d.refobjid = v.sink) AS d) AS y);
my $dependencies = sql($objects);
my $numbers = sql('SELECT last_value FROM streamx.object_id');

# what no view has read, and one that is paused
sql("SELECT streamx.pause('windows'), streamx.pause('k_averages')");
insert(500);
$old->caught_up('averages');
$old->set_conf('streamx.enabled' => 'off');
insert(500);
my $system = sql('SELECT system_identifier FROM pg_control_system()');
sql('ALTER SYSTEM RESET streamx.enabled');
$old->stop;

# ---- in the newer one

my $work = abs_path(PostgreSQL::Test::Utils::tempdir('upgrade'));
my $here = abs_path('.');
my ($from, $to) = map { abs_path($_->data_dir) } $old, $new;
my $bin = `pg_config --bindir`;
chomp $bin;
chdir $work or die "cannot go to $work: $!";
my ($out, $err) = ('', '');
my $done = IPC::Run::run(
	[ 'pg_upgrade', '--no-sync', '-d', $from, '-D', $to, '-b', "$oldinstall/bin", '-B', $bin,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], '>', \$out, '2>', \$err);
ok($done, 'pg_upgrade') or BAIL_OUT("$out\n$err\n" . `find $work $to/pg_upgrade_output.d -name '*.log' -o -name '*.txt' | xargs tail -n 40`);
chdir $here or die "cannot go back: $!";

$node = $new;
$new->start;
isnt(sql('SELECT system_identifier FROM pg_control_system()'), $system, 'another system, by its identifier');
foreach my $view ('windows', 'k_averages')
{
	ok($new->wait_until("SELECT state = 'paused' FROM streamx.views WHERE view = '$view'::regclass"), "$view is paused still");
}
sql("SELECT streamx.resume('windows'), streamx.resume('k_averages')");
exact('what had not been read');
insert(1000);
exact('goes on');
$new->restart;
insert(500);
exact('after a restart');
ok($new->wait_until("SELECT count(*) = 0 FROM streamx.views WHERE error IS NOT NULL"), 'no view has an error');
$new->safe_psql('postgres', 'INSERT INTO typed VALUES (20)');
$new->caught_up('ratios');
is(sql('SELECT q FROM ratios ORDER BY q'), "5\n20", 'the stream that has lost a column');
is(sql('SELECT count(*) FROM streamx.dead_letters'), 1, 'the dead letter is there');
is(sql($objects), $dependencies, 'what belongs to the views does');
cmp_ok(sql('SELECT last_value FROM streamx.object_id'), '>=', $numbers, 'numbers are not given out again');
like($new->error('DROP FOREIGN TABLE native_sink'), qr/depend/, 'the sink of a view cannot be dropped without it');
foreach my $view (grep { !/closed|joined|folded|sunk|^k_/ } @all)
{
	is(sql("SELECT * FROM streamx.verify('$view')"), '', "$view is as its source says") if $view ne 'derived';
}
sql('CREATE VIEW another WITH (streamx.continuous) AS SELECT count(*), sum(d) AS d FROM s');
insert(10);
$new->caught_up('another');
is(sql('SELECT count FROM another'), '10', 'a new view');
# a view is gone with all that it has
sql("DROP VIEW $_") foreach 'folded', grep { $_ ne 'folded' } @all, 'another', 'ratios';
is(sql(q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relkind IN ('r', 'v') AND relname !~ '^[jn]')), 0, 'nothing is left of views that are dropped');
sql('DROP FOREIGN TABLE s, r, e, typed, native_sink, topic_sink');
sql('DROP EXTENSION streamx CASCADE');
$new->log_is_clean;
$new->stop;
done_testing();
