
# A new release of the extension: its SQL is brought up to date while views run,
# to what a fresh installation has; where library and SQL do not go together
# nothing is done, and all who ask are told why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $oldest = '1.0';
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'max_worker_processes = 40');
my $next = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- what is there after all updates is what CREATE EXTENSION makes

my $newest = sql(q(SELECT default_version FROM pg_available_extensions WHERE name = 'streamx'));
my $members = q(SELECT string_agg(x, E'\n' ORDER BY x) FROM (
	SELECT pg_describe_object(classid, objid, 0) || ' ' || CASE classid
		WHEN 'pg_proc'::regclass THEN (SELECT CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE p.oid::regprocedure::text END || coalesce(p.proacl::text, '') FROM pg_proc AS p WHERE p.oid = objid)
		WHEN 'pg_class'::regclass THEN (SELECT concat_ws(' ', CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END, c.relacl, c.reloptions, c.relrowsecurity,
			(SELECT string_agg(concat_ws(' ', attname, atttypid::regtype, attnotnull, pg_get_expr(adbin, adrelid)), ', ' ORDER BY attnum)
			 FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
			(SELECT string_agg(pg_get_indexdef(indexrelid), ', ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = c.oid))
			FROM pg_class AS c WHERE c.oid = objid)
		ELSE '' END || ' ' || coalesce(obj_description(objid, classid::regclass::text), 'no comment') AS x
	FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'streamx') AND deptype = 'e') AS y);
my $config = q(SELECT array_agg(c::regclass::text ORDER BY c::regclass::text) FROM pg_extension, unnest(extconfig) AS c WHERE extname = 'streamx');
my $fresh = sql($members);
my $fresh_config = sql($config);

sql("DROP EXTENSION streamx; CREATE EXTENSION streamx VERSION '$oldest'");
isnt(sql($members), $fresh, "$oldest has not what $newest has");

# ---- views run before, meanwhile and afterwards

sql(<<'SQL');
CREATE FOREIGN TABLE s (n int, k int, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '2 s', idle_timeout '0', retain '1 hour');
CREATE TABLE rows (n int, k int, ts timestamptz);
CREATE VIEW kept WITH (streamx.continuous) AS SELECT k, count(*), sum(n) FROM s GROUP BY k;
CREATE VIEW windows WITH (streamx.continuous) AS
  SELECT tumble(ts, '5 s') AS w, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median FROM s GROUP BY w;
CREATE VIEW ranks WITH (streamx.continuous) AS
  SELECT k, c, rank() OVER (ORDER BY c DESC, k) AS rank FROM (SELECT k, count(*) AS c FROM s GROUP BY k) AS x;
SQL

sub insert
{
	my ($count) = @_;
	my $from = $next;
	my $values;

	$next += $count;
	$values = "SELECT i, i * 37 % 41, timestamptz '2026-01-01Z' + i * interval '100 ms' FROM generate_series($from, $next - 1) AS i";
	sql("BEGIN; INSERT INTO s $values; INSERT INTO rows $values; COMMIT;");
	return;
}

sub exact
{
	my ($what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $what => sub {
		$node->caught_up($_) foreach qw(kept windows ranks);
		$node->same('TABLE kept', 'SELECT k, count(*), sum(n) FROM rows GROUP BY k', 'kept');
		$node->same('TABLE windows', "SELECT tumble(ts, '5 s') AS w, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY n) FROM rows GROUP BY w", 'windows');
		$node->same('TABLE ranks', 'SELECT k, c, rank() OVER (ORDER BY c DESC, k) FROM (SELECT k, count(*) AS c FROM rows GROUP BY k) AS x', 'ranks');
		is(sql('SELECT count(*) FROM streamx.views WHERE error IS NOT NULL'), 0, 'no view has an error');
	};
	return;
}

insert(200);
exact("the library of $newest with the SQL of $oldest");
like(sql(q(SELECT string_agg(problem || ': ' || cure, ' ') FROM streamx.health())), qr/\Q$oldest\E.*ALTER EXTENSION streamx UPDATE/, 'streamx.health() says so');

# what needs a place that the old SQL has not
my $over = q(CREATE VIEW over WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(w, '10 s') AS w, sum(count) AS n FROM windows GROUP BY 1);
like($node->error($over), qr/need a newer version.*ALTER EXTENSION streamx UPDATE/s, 'a final view over others waits for the update');
sql(q(CREATE VIEW sums WITH (streamx.continuous) AS SELECT sum(count) AS n FROM windows));

# inserts go on while it is updated
my $values = "i, i * 37 % 41, timestamptz '2026-01-01Z' + i * interval '100 ms'";
my $upto = $next + 3000;
sql("CREATE PROCEDURE fill() LANGUAGE plpgsql AS 'BEGIN FOR i IN $next .. $upto - 1 LOOP
	INSERT INTO s SELECT " . ($values =~ s/'/''/gr) . '; INSERT INTO rows SELECT ' . ($values =~ s/'/''/gr) . "; COMMIT; END LOOP; END'");
my $writer = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'CALL fill()' ], '>', \my $out, '2>', \my $err);
$next = $upto;
ok($node->wait_until('SELECT count(*) > 300 FROM rows'), 'rows come in');
sql('ALTER EXTENSION streamx UPDATE');
is(sql('SELECT extension = library AND installed = extension FROM streamx.version()'), 't', 'all are of one version');
ok($writer->finish, 'all are in') or diag($err);
exact('updated while views ran');
sql($over);
$node->caught_up($_) foreach qw(over sums);
$node->same('TABLE over', "SELECT * FROM (SELECT tumble(ts, '10 s') AS w, count(*)::numeric AS n FROM rows GROUP BY 1) AS x WHERE w + interval '10 s' <= (SELECT max(ts) - interval '2 s' FROM rows)", 'a final view over others');
$node->same('TABLE sums', 'SELECT count(*)::numeric FROM rows', 'one that was there before');
is(sql($members), $fresh, 'an update gives what a fresh installation has');
is(sql($config), $fresh_config, 'the same goes with dumps');
insert(300);
exact('goes on');
is(sql("SELECT count(*) FROM streamx.health() WHERE problem ~ 'version|newer'"), 0, 'streamx.health() has nothing to say of versions');

# ---- scripts of a release that the server has not been restarted for

foreach my $script (glob "$FindBin::RealBin/../../sql/streamx--*--*.sql")
{
	my ($version) = $script =~ /--([^-]+)\.sql$/;
	my ($guard) = slurp_file($script) =~ /^(DO \$\$.*?^\$\$;)/ms;

	is($node->error($guard), '', "the script to $version runs with this library");
	ok($guard =~ s/'\Q$version\E'/'99.10'/, "it asks for that of $version");
	like($node->error($guard), qr/version 99\.10 .* needs a newer library.*Restart the server/s, 'and does not run with an older one');
}

# ---- SQL that does not go with the library: of a release to come, of one that is too old

foreach my $version ('99.1', '0.9')
{
	my $cure = $version eq '0.9' ? qr/ALTER EXTENSION streamx UPDATE/ : qr/Install the newer release/;
	my $from = -s $node->logfile;
	my $insert = "INSERT INTO s VALUES (0, 0, '2026-01-01Z')";

	insert(50);
	$node->stop;
	# the server has been one of the other release
	$node->append_conf('postgresql.conf', 'streamx.enabled = off');
	$node->start;
	sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'streamx'");
	$node->append_conf('postgresql.conf', 'streamx.enabled = on');
	$node->restart;
	$node->wait_for_log(qr/streamx waits in database \d+: its extension has version \Q$version\E.*HINT:.*$cure/s, $from);
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamx worker'"), 0, "$version: no worker");
	ok($node->wait_until(q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'streamx scheduler' AND query LIKE 'waiting for a version%')), "$version: the scheduler says what it waits for");
	like($node->error($_), qr/has version \Q$version\E, which does not go with the library.*HINT:.*$cure/s, "$version: " . substr $_, 0, 25)
	  foreach $insert, 'CREATE VIEW v WITH (streamx.continuous) AS SELECT count(*) FROM s', q(SELECT streamx.rebuild('kept'));
	is($node->error('CREATE TABLE plain (a int); ALTER TABLE plain ADD b int; INSERT INTO plain VALUES (1, 2); DROP TABLE plain'), '', "$version: what is not ours works");
	is(sql('SELECT count(*) > 0 FROM kept'), 't', "$version: results can be read");
	sql("UPDATE pg_extension SET extversion = '$newest' WHERE extname = 'streamx'");
	# nobody is told of that: it looks again by itself
	$node->wait_for_log(qr/streamx goes on in database/, $from);
	exact("$version: goes on when they do");
}

$node->log_is_clean;
$node->stop;
done_testing();
