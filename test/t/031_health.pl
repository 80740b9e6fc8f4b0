
# streamx.health() names what is wrong in words and how to cure it: each case
# is made to happen.  Those that need a broker are in 030_status.pl, those that
# need nothing else in sql/sight.sql.  And how far views that are behind have
# come.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.max_batch_rows = 1000',
	'streamx.max_views = 16');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# A line per problem: severity|object|problem|cure
sub health
{
	my ($where) = @_;
	return sql('SELECT severity, object, problem, cure FROM streamx.health()' . ($where ? " WHERE $where" : ''));
}

is(health(), '', 'nothing is wrong at first');

# ---- settings and versions ----

$node->set_conf('streamx.enabled' => 'off');
ok($node->wait_until('SELECT count(*) = 1 FROM streamx.health()'), 'switched off');
is( health(),
	'warning|streamx|streamx.enabled is off: no view is kept up to date|ALTER SYSTEM SET streamx.enabled = on, then SELECT pg_reload_conf().',
	'and so it is called');
$node->set_conf('streamx.enabled' => 'on');
ok($node->wait_until('SELECT count(*) = 0 FROM streamx.health()'), 'and on again');

# as after a package was upgraded, or taken back
my $version = sql("SELECT extversion FROM pg_extension WHERE extname = 'streamx'");
is(sql('SELECT library FROM streamx.server_state()'), $version, 'the library is that of its SQL');
is(sql("SELECT default_version FROM pg_available_extensions WHERE name = 'streamx'"), $version, 'and of its control file');
sql("UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'streamx'");
is( health(),
	"warning|streamx|the library ($version) is newer than the extension's SQL in this database (0.9)|ALTER EXTENSION streamx UPDATE.",
	'the library is newer');
sql("UPDATE pg_extension SET extversion = '10.0' WHERE extname = 'streamx'");
is( health(),
	"error|streamx|the extension's SQL in this database (10.0) is newer than the library that the server has loaded ($version)|Install version 10.0 and restart the server.",
	'the SQL is newer');
sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'streamx'");
is(health(), '', 'all is well again');

# ---- a source that cannot be reached ----

sql(q{CREATE SERVER nobody TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:1');
	CREATE FOREIGN TABLE silent (x int) SERVER nobody OPTIONS (topic 'silent');
	CREATE VIEW nothing WITH (streamx.continuous) AS SELECT x FROM silent});
ok($node->wait_until("SELECT count(*) = 1 FROM streamx.health() WHERE object = 'public.silent'"),
	'nobody listens there');
like(
	health(),
	qr/^error\|public\.silent\|the stream cannot be read: .*127\.0\.0\.1:1.*\|See that its source is up and can be reached with the options of the stream and its server nobody; reading goes on by itself\.$/,
	'and health says where');
is(sql("SELECT kind, times > 0, error ~ '127.0.0.1:1' FROM streamx.errors WHERE stream = 'silent'::regclass"),
	'source|t|t', 'it is in the history');
sql('DROP FOREIGN TABLE silent CASCADE');
is(health(), '', 'and gone with the stream');

# ---- a view that is kept from its work ----

sql(q{CREATE FOREIGN TABLE s (a int) SERVER streamx;
	CREATE VIEW locked WITH (streamx.continuous) AS SELECT a, count(*) FROM s GROUP BY a});
$node->caught_up('locked');
my ($in, $out) = ('', '');
my $locker = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
$in .= "BEGIN; LOCK TABLE locked; SELECT 'locked';\n";
$locker->pump until $out =~ /locked/;
sql('INSERT INTO s VALUES (1)');
ok( $node->wait_until("SELECT count(*) = 1 FROM streamx.health() WHERE object = 'public.locked'"),
	'a view that does not get its locks');
like(
	health(),
	qr/^warning\|public\.locked\|the view is tried again and again \(\d+ times since [^)]+\): canceling statement due to lock timeout\|It goes on by itself/,
	'is tried again');
$in .= "COMMIT; \\q\n";
$locker->finish;
$node->caught_up('locked');
is(sql("SELECT state FROM streamx.views WHERE view = 'locked'::regclass"), 'running', 'and goes on');
ok($node->wait_until("SELECT count(*) = 0 FROM streamx.health()"), 'after a while nobody speaks of it any more');

# ---- behind: how far, and until when ----

sql(q{CREATE FUNCTION slowly(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN IF a % 16 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN a; END $$;
	CREATE FOREIGN TABLE kept (a int) SERVER streamx OPTIONS (retain '1 day');
	CREATE VIEW fast WITH (streamx.continuous) AS SELECT a % 10 AS k, count(*) FROM kept GROUP BY 1});
$node->caught_up('fast');
sql('INSERT INTO kept SELECT i FROM generate_series(1, 100000) i');
$node->caught_up('fast');
sql(q{CREATE VIEW slow WITH (streamx.continuous, streamx.start = 'earliest') AS
	SELECT slowly(a) % 10 AS k, count(*) FROM kept GROUP BY 1});
ok( $node->wait_until("SELECT count(*) = 1 FROM streamx.catch_up WHERE view = 'slow'::regclass AND done > 0.3 AND estimated_end IS NOT NULL"),
	'a view that comes later is behind');
my $estimate = sql(
	q{SELECT extract(epoch FROM estimated_end), phase, rows_done + rows_left BETWEEN 90000 AND 100000, rows_per_second > 0,
		extract(epoch FROM clock_timestamp()), since < clock_timestamp(), rows_left FROM streamx.catch_up WHERE view = 'slow'::regclass});
like($estimate, qr/^[0-9.]+\|catching up\|t\|t\|[0-9.]+\|t\|\d+$/, 'how far it has come');
like(sql("SELECT query FROM pg_stat_activity WHERE backend_type = 'streamx worker' AND query ~ 'slow'"),
	qr/^public\.kept: \d+ rows into public\.slow; \d+ to go$/, 'its worker says what it does');
is( sql(q{SELECT count(*) FROM regexp_split_to_table(streamx.metrics(), E'\n') l
		WHERE l ~ 'streamx_view_catch_up_ratio\{.*"public.slow"\} 0\.[0-9]+$' OR l ~ 'streamx_view_catch_up_seconds\{.*"public.slow"\} [1-9][0-9.]*$' OR
			l ~ 'streamx_view_catch_up_ratio\{.*"public.fast"\} 1$'}),
	'3', 'and metrics have it');
$node->caught_up('slow', 180);
# how long it takes indeed is up to the machine; but it cannot take less than it sleeps
my ($estimated, $now, $left) = (split /\|/, $estimate)[ 0, 4, 6 ];
cmp_ok($estimated - $now, '>', 0.5 * $left / 16 * 0.001, 'the end that was estimated is not much too early');
ok($node->wait_until('SELECT count(*) = 0 FROM streamx.catch_up'), 'it is behind no longer');
is(sql("SELECT * FROM streamx.verify('slow')"), '', 'and has all');

# ---- more comes than is taken in ----

sql(q{CREATE SERVER gen TYPE 'generator' FOREIGN DATA WRAPPER streamx;
	CREATE FOREIGN TABLE flood (a int) SERVER gen OPTIONS (rows_per_second '100000');
	CREATE VIEW drowned WITH (streamx.continuous) AS SELECT slowly(a) AS a FROM flood});
ok( $node->wait_until("SELECT count(*) = 1 FROM streamx.health() WHERE object = 'public.flood'"),
	'a stream that falls behind');
like(
	health("object = 'public.flood'"),
	qr/^warning\|public\.flood\|the stream falls behind: \d+ rows to read, \d+ more each second since .*\|Most of the time of its last batches goes to execute, see streamx\.batches; streamx\.explain\(\) shows the plan/,
	'and where the time goes');
is(sql("SELECT done < 1, estimated_end FROM streamx.catch_up WHERE view = 'drowned'::regclass"), 't|',
	'no end is in sight');
sql('DROP FOREIGN TABLE flood CASCADE');

# ---- no room ----

my $views = sql('SELECT count(*) FROM streamx.views');
sql(join ';', map { "CREATE VIEW v$_ WITH (streamx.continuous) AS SELECT a + $_ AS a FROM s" } $views + 1 .. 16);
ok($node->wait_until("SELECT count(*) = 1 FROM streamx.health()"), 'more views than there is room for');
like(health(), qr/^warning\|streamx\|shared memory .*\|Raise streamx\.max_streams or streamx\.max_views and restart the server\.$/,
	'and what to raise');
$node->log_is_clean;
$node->stop;

# ---- no process to be had ----

my $poor = StreamxCluster->new('poor');
$poor->init;
$poor->append_conf('postgresql.conf', "shared_preload_libraries = 'streamx'\nmax_worker_processes = 2\n");
$poor->start;
$poor->safe_psql('postgres',
	q{CREATE EXTENSION streamx;
	CREATE FOREIGN TABLE s (a int) SERVER streamx;
	CREATE VIEW v WITH (streamx.continuous) AS SELECT a FROM s});
ok( $poor->wait_until("SELECT count(*) = 1 FROM streamx.health() WHERE severity = 'error'"),
	'there is no process for the database');
like(
	$poor->safe_psql('postgres', 'SELECT severity, object, problem, cure FROM streamx.health()'),
	qr/^error\|streamx\|no process could be started for this database at [^|]+: all of max_worker_processes = 2 are taken\|Raise max_worker_processes and restart the server/,
	'and the setting that is in the way');
is($poor->safe_psql('postgres', 'SELECT kind, stream, error FROM streamx.errors'),
	'worker||could not start a scheduler', 'it is in the history too');

# ---- not preloaded ----

$poor->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$poor->restart;
is( $poor->safe_psql('postgres', 'SELECT severity, object, problem, cure FROM streamx.health()'),
	'error|streamx|streamx is not in shared_preload_libraries: no view is kept up to date|Add streamx to shared_preload_libraries and restart the server.',
	'the library is not preloaded');
like(
	$poor->error('SELECT * FROM streamx.batches'),
	qr/streamx has to be loaded when the server starts/, 'the rest cannot be asked');
$poor->stop;

done_testing();
