
# Statements about what belongs to views, while rows come and workers run: tables
# written anew (VACUUM FULL, CLUSTER, REINDEX), things that are renamed, moved, given
# away, altered and dropped.  The views stay exact, or the statement is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'max_worker_processes = 32', 'wal_level = minimal', 'max_wal_senders = 0');
my $dir = PostgreSQL::Test::Utils::tempdir('statements');
my $db = 'postgres';
my $long = $ENV{STREAMX_LONG} ? 5 : 1;

my %view = (
	each => ['', 'SELECT n, k FROM {s} WHERE n % 7 = 0'],
	kept => ['', 'SELECT k, count(*), sum(n) FROM {s} GROUP BY k'],
	named => ['', 'SELECT name, count(*), max(n) FROM {s} JOIN {names} USING (k) GROUP BY name'],
	ranked => ['', 'SELECT k, c, rank() OVER (ORDER BY c DESC, k) AS rank FROM (SELECT k, count(*) AS c FROM {s} GROUP BY k) AS x'],
	distincts => ['', 'SELECT n % 5 AS g, count(DISTINCT k) AS ks FROM {s} GROUP BY 1'],
	median => ['', "SELECT tumble(ts, '5 s') AS w, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM {s} GROUP BY 1"],
	pairs => ['', "SELECT a.n AS a, b.n AS b FROM {s} AS a JOIN {s} AS b ON a.k = b.k AND a.n / 1000 = b.n / 1000 AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '5 s'"],
	final => [", streamx.emit = 'final'", "SELECT tumble(ts, '5 s') AS w, k % 3 AS g, count(*), sum(n) FROM {s} GROUP BY 1, 2"],
	folded => ['', 'SELECT max(sum), count(*) FROM {kept}']);
my @views = sort { ($a eq 'folded') <=> ($b eq 'folded') || $a cmp $b } keys %view;
my %name = (s => 's', names => 'names', map { $_ => $_ } @views);    # what they are called now

sub sql
{
	return $node->safe_psql($db, @_);
}

sub query
{
	my ($view, %of) = @_;
	my ($options, $query) = @{ $view{$view} };

	$query =~ s/\{(\w+)\}/$of{$1} || $name{$1}/ge;
	return $query;
}

sub expected
{
	my ($view) = @_;
	my $query = query($view, s => 'rows', kept => '(' . query('kept', s => 'rows') . ') AS x');

	return $query if $view ne 'final';
	return "SELECT * FROM ($query) AS q WHERE w + interval '5 s' <= (SELECT watermark FROM streamx.views WHERE view = '$name{final}'::regclass)";
}

sub setup
{
	sql(<<"SQL");
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '2 s', idle_timeout '0', retain '1 hour');
CREATE TABLE rows (n int, k int, ts timestamptz);
CREATE TABLE names AS SELECT k, 'name ' || k % 4 AS name FROM generate_series(0, 40) AS k;
CREATE TABLE feeding AS SELECT 's'::regclass AS stream;
-- so many rows, to the stream by whatever name it has now
CREATE FUNCTION feed(number int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS \$\$
DECLARE
  stream regclass := (SELECT f.stream FROM public.feeding AS f);
BEGIN
  LOCK TABLE public.rows IN EXCLUSIVE MODE;
  EXECUTE format('WITH r AS (INSERT INTO public.rows SELECT i, i * 37 %% 41, timestamptz \$t\$2026-01-01Z\$t\$ + i * interval \$t\$100 ms\$t\$
    FROM (SELECT coalesce(max(n) + 1, 0) AS first FROM public.rows) AS x, generate_series(first, first + \$1 - 1) AS i RETURNING *)
    INSERT INTO %s (n, k, ts) SELECT * FROM r', stream) USING number;
END \$\$;
SQL
	sql("CREATE VIEW $_ WITH (streamx.continuous$view{$_}[0]) AS " . query($_)) foreach @views;
	return;
}

# While rows come in small transactions: the statements, each by itself.  It is
# said whether they may fail, and how.
sub meanwhile
{
	my ($what, @statements) = @_;
	my $file = "$dir/feed.sql";
	my ($out, $err) = ('', '');
	my $feeder;

	PostgreSQL::Test::Utils::append_to_file($file, "SELECT public.feed(20);\n") if !-e $file;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$feeder = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', '120', '-f', $file, $node->connstr($db) ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	foreach my $statement (@statements)
	{
		my ($text, $fails) = ref $statement ? @$statement : ($statement);

		if ($fails)
		{
			like($node->error($text, $db), $fails, "$what: refused: $text");
		}
		else
		{
			is($node->error($text, $db), '', "$what: $text");
		}
	}
	sql('SELECT public.feed(100)');
	$feeder->kill_kill;
	$node->wait_until(q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'), 30, $db);
	return;
}

sub exact
{
	my ($what, @which) = @_;

	@which = @views if !@which;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return subtest $what => sub {
		sql('SELECT public.feed(50)');
		$node->caught_up($name{$_}, 60, $db) foreach @which;
		$node->same("TABLE $name{$_}", expected($_), $_, $db) foreach @which;
		is(sql(q(SELECT string_agg(view || ' ' || coalesce(error, ''), ', ') FROM streamx.views WHERE state = 'stopped' OR rows_late > 0 OR dead_letters > 0)), '', 'nothing is wrong');
	};
}

setup();
exact('before');

# ---- tables that are written anew

foreach my $round (1 .. $long)
{
	meanwhile('results', map { my $v = $_; ("VACUUM FULL $v", "REINDEX TABLE $v", "REINDEX TABLE CONCURRENTLY $v", "ANALYZE $v",
		  $v =~ /each|pairs|folded/ ? () : "CLUSTER $v USING ${v}_key") } grep { $_ ne 'ranked' } @views);
	exact("results, $round");
	like($node->error('DROP INDEX kept_key'), qr/cannot drop index kept_key/, 'the key is still protected');
	meanwhile('state', map { ("VACUUM FULL $_", "REINDEX TABLE $_", "REINDEX TABLE CONCURRENTLY $_") }
		  split /\n/, sql(q(SELECT oid::regclass FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relkind = 'r')));
	exact("state, $round");
	meanwhile('catalog', (map { ("VACUUM FULL $_", "REINDEX TABLE $_") }
		  split /\n/, sql(q(SELECT oid::regclass FROM pg_class WHERE relnamespace = 'streamx'::regnamespace AND relkind = 'r'))),
		'VACUUM FULL', "REINDEX DATABASE $db", 'VACUUM FREEZE', 'REINDEX SCHEMA CONCURRENTLY streamx_state');
	exact("catalog, $round");
	$node->restart;
	exact("after a restart, $round");
}

# ---- names, places, owners

$name{s} = 'other.events';
$name{names} = 'other.labels';
$name{kept} = 'other.totals';
meanwhile('renamed',
	'CREATE SCHEMA tmp',
	'ALTER FOREIGN TABLE s RENAME TO events',
	'ALTER FOREIGN TABLE events SET SCHEMA tmp',
	'ALTER TABLE names RENAME TO labels',
	'ALTER TABLE labels SET SCHEMA tmp',
	'ALTER TABLE kept RENAME TO totals',
	'ALTER TABLE totals SET SCHEMA tmp',
	'ALTER SCHEMA tmp RENAME TO other',
	'ALTER TABLE final SET TABLESPACE pg_default',
	[ 'ALTER SCHEMA streamx_state RENAME TO x', qr/cannot rename schema/ ],
	[ 'ALTER SCHEMA streamx RENAME TO x', qr/cannot rename schema/ ]);
exact('renamed');
meanwhile('owners',
	'CREATE ROLE someone',
	'GRANT ALL ON SCHEMA public, other TO someone',
	'GRANT SELECT ON other.events TO someone',
	'ALTER TABLE final OWNER TO someone', 'ALTER TABLE ranked OWNER TO someone', 'ALTER TABLE pairs OWNER TO someone',
	'ALTER ROLE someone RENAME TO somebody',
	[ 'DROP ROLE somebody', qr/cannot be dropped because some objects depend/ ]);
exact('owners');
meanwhile('given back', 'REASSIGN OWNED BY somebody TO CURRENT_USER', 'DROP OWNED BY somebody', 'DROP ROLE somebody');
exact('given back');

# ---- columns

meanwhile('columns',
	'ALTER FOREIGN TABLE other.events ADD COLUMN extra text',
	'ALTER FOREIGN TABLE other.events RENAME COLUMN extra TO more',
	'ALTER FOREIGN TABLE other.events ALTER COLUMN more TYPE varchar(10)',
	'ALTER FOREIGN TABLE other.events DROP COLUMN more',
	[ 'ALTER FOREIGN TABLE other.events DROP COLUMN k', qr/depend/ ],
	[ 'ALTER FOREIGN TABLE other.events ALTER COLUMN k TYPE bigint', qr/ERROR/ ],
	'ALTER TABLE other.labels ADD COLUMN note text', 'ALTER TABLE other.labels DROP COLUMN note',
	'ALTER TABLE other.labels RENAME COLUMN name TO label', 'ALTER TABLE other.labels RENAME COLUMN label TO name',
	[ 'ALTER TABLE other.labels ALTER COLUMN name TYPE varchar(100)', qr/used by a view/ ],
	[ 'ALTER TABLE other.labels DROP COLUMN name', qr/depend/ ],
	[ 'ALTER TABLE other.totals DROP COLUMN sum', qr/ERROR/ ],
	'CREATE INDEX ON other.totals (sum)', 'CREATE INDEX CONCURRENTLY ON each (k)', 'CREATE INDEX ON other.labels (k)',
	'ALTER TABLE each SET (fillfactor = 50)', [ 'ALTER TABLE ranked SET UNLOGGED', qr/cannot make continuous view/ ]);
exact('columns');

# ---- the database

meanwhile('settings', "ALTER DATABASE postgres SET work_mem = '4MB'", "ALTER DATABASE postgres SET search_path = other");
sql('ALTER DATABASE postgres RESET ALL');
is($node->error('ALTER DATABASE postgres RENAME TO renamed', 'template1'), '', 'a database is renamed');
$db = 'renamed';
exact('a renamed database');
is($node->error('ALTER DATABASE renamed RENAME TO postgres', 'template1'), '', 'and back');
$db = 'postgres';
exact('renamed back');
mkdir "$dir/space";
sql("CREATE TABLESPACE space LOCATION '$dir/space'");
meanwhile('tablespaces', map { "ALTER TABLE $name{$_} SET TABLESPACE space" } @views);
exact('results in another tablespace');
is($node->error('ALTER DATABASE postgres SET TABLESPACE space', 'template1'),
	'', 'a database that moves') if $node->error('ALTER DATABASE postgres SET TABLESPACE space', 'template1') !~ /some relations/;
meanwhile('tablespaces', map { "ALTER TABLE $name{$_} SET TABLESPACE pg_default" } @views);
exact('and back');
is($node->error('ALTER DATABASE postgres SET TABLESPACE space', 'template1'), '', 'a database that moves');
exact('moved');
is($node->error('ALTER DATABASE postgres SET TABLESPACE pg_default', 'template1'), '', 'and back');
exact('moved back');

# ---- what is dropped

meanwhile('dropped',
	[ 'DROP TABLE other.labels', qr/depend/ ],
	[ 'DROP FOREIGN TABLE other.events', qr/depend/ ],
	[ 'DROP SERVER streamx', qr/ERROR/ ],
	[ 'DROP SCHEMA other', qr/ERROR/ ],
	[ 'DROP EXTENSION streamx', qr/ERROR/ ],
	'DROP TABLE other.labels CASCADE', 'DROP VIEW pairs', 'DROP TABLE distincts');
exact('what is left', grep { !/named|pairs|distincts/ } @views);
meanwhile('schema', 'ALTER FOREIGN TABLE other.events SET SCHEMA public', 'DROP SCHEMA other CASCADE');
@views = grep { !/named|pairs|distincts|kept|folded/ } @views;
$name{s} = 'events';
exact('without the schema');
sql('DROP FOREIGN TABLE events CASCADE');
is(sql('SELECT count(*) FROM streamx.views'), 0, 'no stream, no views');
is(sql(q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relkind IN ('r', 'v'))), 0, 'and nothing is left of them');

# ---- the extension and databases go while workers run

sql('DROP TABLE rows, feeding; DROP FUNCTION feed');
%name = (s => 's', names => 'names', map { $_ => $_ } keys %view);
@views = sort { ($a eq 'folded') <=> ($b eq 'folded') || $a cmp $b } keys %view;
setup();
exact('once more');
is($node->error('DROP EXTENSION streamx CASCADE', $db), '', 'DROP EXTENSION CASCADE');
is(sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^streamx (worker)' AND datname = current_database())), 0, 'takes the workers along');
sql('DROP TABLE rows, names, feeding; DROP FUNCTION feed; CREATE EXTENSION streamx');
setup();
exact('made anew');
$node->safe_psql('template1', 'CREATE DATABASE idle1; CREATE DATABASE idle2; CREATE DATABASE two');
$db = 'two';
sql('CREATE EXTENSION streamx');
setup();
exact('another database with the same names');
$db = 'postgres';
exact('beside this one');
is($node->rows(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'streamx' AND datname ~ '^idle')), 0, 'nothing runs in databases without the extension');
is($node->error('DROP DATABASE idle1', 'template1'), '', 'they can be dropped');
is($node->error('DROP DATABASE two', 'template1'), '', 'and so can one with workers');
is($node->error('CREATE DATABASE two TEMPLATE postgres', 'template1'), '', 'one of its name is made');
$db = 'two';
exact('and runs');
$db = 'postgres';
exact('beside this one');

$node->log_is_clean;
$node->stop;
done_testing();
