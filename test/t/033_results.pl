
# What others do with results: a publication into a second server, triggers,
# foreign keys, COPY out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'wal_level = logical', 'max_wal_senders = 8', 'max_replication_slots = 8');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$other->start;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# All that was inserted is in the views, and over there.
sub everywhere
{
	my ($view, $name) = @_;

	$node->caught_up($_) for qw(pages minutes each);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# workers do not wait for their commits to be on disk; what is not, is not sent
	sql(q{SELECT pg_logical_emit_message(true, 'test', 'a commit that is waited for')});
	$node->wait_for_catchup('dashboards');
	my $query = "SELECT * FROM $view t ORDER BY t::text COLLATE \"C\"";
	is($other->safe_psql('postgres', $query), sql($query), $name);
	return;
}

sql(q{CREATE FOREIGN TABLE clicks (ts timestamptz, page text, n int) SERVER streamx
		OPTIONS (event_time 'ts', watermark '5 s', retain '1 day');
	CREATE VIEW pages WITH (streamx.continuous) AS
		SELECT page, count(*) AS n, sum(n) AS total, avg(n) AS mean FROM clicks GROUP BY page HAVING sum(n) > 0;
	CREATE VIEW minutes WITH (streamx.continuous, streamx.emit = 'final', streamx.retention = '1 hour') AS
		SELECT tumble(ts, '1 minute') AS minute, page, count(*) AS n FROM clicks GROUP BY minute, page;
	CREATE VIEW each WITH (streamx.continuous) AS SELECT page, n FROM clicks WHERE n % 10 = 0});
sub insert
{
	my ($from, $to) = @_;
	sql(qq{INSERT INTO clicks SELECT '2024-05-01 10:00:00Z'::timestamptz + i * interval '1 s',
		nullif('p' || i % 7, 'p6'), CASE i % 7 WHEN 5 THEN 50000 - i ELSE i END FROM generate_series($from, $to) i});
	return;
}

# ---- logical replication ----

insert(1, 1000);
$node->caught_up('pages');
sql('CREATE PUBLICATION results FOR TABLE pages, minutes, each');
$other->safe_psql('postgres',
	q{CREATE TABLE pages (page text, n bigint, total bigint, mean numeric);
	CREATE TABLE minutes (minute timestamptz, page text, n bigint);
	CREATE TABLE each (page text, n int);
	CREATE SUBSCRIPTION dashboards CONNECTION '} . $node->connstr . q{ dbname=postgres' PUBLICATION results});
$other->wait_for_subscription_sync($node, 'dashboards');
everywhere('pages', 'what was there');
insert(1001, 3000);
insert(3001, 5000);
everywhere('pages', 'groups that change');
everywhere('minutes', 'windows that have closed');
everywhere('each', 'rows of a transform');

# groups that go and come back, windows that retention takes away
sql(q{INSERT INTO clicks VALUES ('2024-05-01 12:00:00Z', 'p1', -100000000), ('2024-05-01 12:00:01Z', NULL, -100000000)});
everywhere('pages', 'groups that HAVING takes away');
is($other->safe_psql('postgres', "SELECT count(*) FROM pages WHERE page = 'p1' OR page IS NULL"), '0', 'are gone there, too');
everywhere('minutes', 'rows that retention takes away');
cmp_ok($other->safe_psql('postgres', 'SELECT count(*) FROM minutes'), '<', 700, 'are gone there, too');
sql(q{INSERT INTO clicks VALUES ('2024-05-01 12:00:02Z', 'p1', 200000000)});
everywhere('pages', 'a group that comes back');

# a rebuild is one transaction over there as well
sql(q{INSERT INTO clicks VALUES ('2024-05-01 12:00:03Z', 'p2', 1)});
$node->caught_up('pages');
sql("SELECT streamx.rebuild('pages')");
everywhere('pages', 'a view that is rebuilt');

# a subscription that is made while rows come
$other->safe_psql('postgres', 'CREATE DATABASE late');
$other->safe_psql('late', 'CREATE TABLE pages (page text, n bigint, total bigint, mean numeric); CREATE TABLE each (page text, n int);
	CREATE TABLE minutes (minute timestamptz, page text, n bigint)');
my $flow = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-c', q{DO $$
	BEGIN
		FOR i IN 1 .. 200 LOOP
			INSERT INTO clicks SELECT '2024-05-01 12:00:04Z', 'p' || n % 7, n FROM generate_series(1, 100) n;
			COMMIT;
			PERFORM pg_sleep(0.02);
		END LOOP;
	END $$} ]);
$other->safe_psql('late', q{CREATE SUBSCRIPTION late CONNECTION '} . $node->connstr . q{ dbname=postgres' PUBLICATION results});
$other->wait_for_subscription_sync($node, 'late', 'late');
ok($flow->finish, 'rows come while another subscription is made');
$node->caught_up($_) for qw(pages each);
$node->wait_for_catchup('late');
foreach my $view (qw(pages each))
{
	my $query = "SELECT * FROM $view t ORDER BY t::text COLLATE \"C\"";
	is($other->safe_psql('late', $query), sql($query), "it has all of $view, once");
}
$other->safe_psql('late', 'DROP SUBSCRIPTION late');

# a crash of either
$node->stop('immediate');
$node->start;
insert(8001, 9000);
everywhere('pages', 'after a crash');
$other->stop('immediate');
$other->start;
insert(9001, 10000);
everywhere('each', 'after a crash of the other');
is(sql("SELECT count(*) FROM streamx.verify('pages')"), '0', 'and the view is what it should be');

# partitions that batches make, published as one table; one that retention drops is no news
sql(q{CREATE VIEW hours WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours') AS
		SELECT tumble(ts, '10 minutes') AS start, page, count(*) AS n FROM clicks GROUP BY start, page;
	CREATE PUBLICATION parted FOR TABLE hours WITH (publish_via_partition_root = true)});
$other->safe_psql('postgres', 'CREATE TABLE hours (start timestamptz, page text, n bigint);
	CREATE SUBSCRIPTION parted CONNECTION \'' . $node->connstr . q{ dbname=postgres' PUBLICATION parted});
$other->wait_for_subscription_sync($node, 'parted');
sub clicks_at
{
	sql("INSERT INTO clicks SELECT timestamptz '2024-05-02 $_[0]:00Z' + i * interval '1 min', 'p' || i % 3, 0 FROM generate_series(0, 59) AS i");
	$node->caught_up('hours');
	sql(q{SELECT pg_logical_emit_message(true, 'test', 'a commit that is waited for')});
	$node->wait_for_catchup('parted');
	return;
}
clicks_at($_) foreach qw(10:00 10:00 11:00);
my $hours = 'SELECT * FROM hours ORDER BY start, page';
is($other->safe_psql('postgres', $hours), sql($hours), 'a partitioned result');
is(sql('SELECT count(*), sum(n) FROM hours'), '36|130', 'has all rows, of the second time those of the open window');
clicks_at($_) foreach qw(14:00 15:00 15:30);
is(sql(q(SELECT min(start)::text FROM hours)), '2024-05-02 14:00:00+00', 'old partitions of it are dropped');
is($other->safe_psql('postgres', "SELECT * FROM hours WHERE start >= '2024-05-02 14:00Z' ORDER BY start, page"), sql($hours), 'what is left is the same');
is($other->safe_psql('postgres', 'SELECT min(start)::text FROM hours'), '2024-05-02 10:00:00+00', 'and what was dropped stays over there');
$other->safe_psql('postgres', 'DROP SUBSCRIPTION parted');
sql('DROP VIEW hours; DROP PUBLICATION parted');

# ---- triggers ----

sql(q{CREATE TABLE log (op text, page text, n bigint, before bigint);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO log VALUES (TG_OP, CASE TG_OP WHEN 'DELETE' THEN OLD.page ELSE NEW.page END,
			CASE TG_OP WHEN 'DELETE' THEN NULL ELSE NEW.n END, CASE TG_OP WHEN 'INSERT' THEN NULL ELSE OLD.n END);
		RETURN NULL;
	END $$;
	CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON pages FOR EACH ROW EXECUTE FUNCTION note();
	CREATE TABLE statements (n bigint);
	CREATE FUNCTION note_statement() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO statements SELECT count(*) FROM news; RETURN NULL; END $$;
	CREATE TRIGGER note_statement AFTER INSERT ON each REFERENCING NEW TABLE AS news
		FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
	CREATE TABLE changes (op text, page text, n bigint);
	CREATE FUNCTION note_changes() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF TG_OP = 'INSERT' THEN INSERT INTO changes SELECT 'new', page, n FROM news;
		ELSIF TG_OP = 'DELETE' THEN INSERT INTO changes SELECT 'old', page, n FROM olds;
		ELSE INSERT INTO changes SELECT 'from', page, n FROM olds; INSERT INTO changes SELECT 'to', page, n FROM news; END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER i AFTER INSERT ON pages REFERENCING NEW TABLE AS news FOR EACH STATEMENT EXECUTE FUNCTION note_changes();
	CREATE TRIGGER u AFTER UPDATE ON pages REFERENCING NEW TABLE AS news OLD TABLE AS olds FOR EACH STATEMENT EXECUTE FUNCTION note_changes();
	CREATE TRIGGER d AFTER DELETE ON pages REFERENCING OLD TABLE AS olds FOR EACH STATEMENT EXECUTE FUNCTION note_changes();
	CREATE FUNCTION note_before() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO changes VALUES ('before ' || TG_OP); RETURN NULL; END $$;
	CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON pages FOR EACH STATEMENT EXECUTE FUNCTION note_before();
	TRUNCATE log});
my $before = sql("SELECT n FROM pages WHERE page = 'p3'");
sql(q{INSERT INTO clicks VALUES ('2024-05-01 13:00:00Z', 'new', 10), ('2024-05-01 13:00:00Z', 'p3', 20)});
$node->caught_up($_) for qw(pages each);
sql(q{INSERT INTO clicks VALUES ('2024-05-01 13:00:01Z', 'new', -10)});
$node->caught_up($_) for qw(pages each);
is( sql('SELECT op, page, n, before FROM log ORDER BY page, op DESC'),
	"INSERT|new|1|\nDELETE|new||1\nUPDATE|p3|" . ($before + 1) . "|$before", 'row triggers see what changes, once');
like(sql("SELECT count(*), sum(n) FROM statements"), qr/^[1-9]\d*\|3$/, 'a trigger of the statement sees its new rows')
  or diag(sql('TABLE statements'));

is( sql('SELECT op, page, n FROM changes WHERE page IS NOT NULL ORDER BY page, op'),
	"new|new|1\nold|new|1\nfrom|p3|$before\nto|p3|" . ($before + 1), 'of updates and deletes as well');
is(sql("SELECT string_agg(DISTINCT op, ', ' ORDER BY op) FROM changes WHERE page IS NULL"),
	'before DELETE, before INSERT, before UPDATE', 'triggers before the statement');
$node->caught_up('pages');
sql('DROP TRIGGER i ON pages; DROP TRIGGER u ON pages; DROP TRIGGER d ON pages; DROP TRIGGER b ON pages');

# a trigger that says no
sql(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN IF NEW.page = 'bad' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION refuse();
	INSERT INTO clicks VALUES ('2024-05-01 13:00:02Z', 'bad', 1), ('2024-05-01 13:00:02Z', 'good', 1)});
$node->caught_up('pages');
is(sql("SELECT page FROM pages WHERE page IN ('good', 'bad')"), 'good', 'what a trigger refuses is missing');
is(sql("SELECT view, error FROM streamx.dead_letters"), 'pages|not this one', 'and a dead letter');
sql('DROP TRIGGER refuse ON pages');
is(sql("SELECT streamx.reprocess(view => 'pages')"), '1', 'that can be fed in again');
is(sql("SELECT * FROM streamx.verify('pages')"), '', 'then nothing is missing');

# ---- foreign keys, in both directions ----

sql(q{CREATE UNIQUE INDEX pages_page ON pages (page);
	CREATE TABLE notes (page text REFERENCES pages (page) ON DELETE CASCADE, note text);
	INSERT INTO notes VALUES ('p3', 'third'), ('good', 'fine')});
like($node->error("INSERT INTO notes VALUES ('none', '')"), qr/violates foreign key constraint/, 'a key that points at a result');
sql(q{INSERT INTO clicks VALUES ('2024-05-01 13:00:03Z', 'good', -100)});
$node->caught_up('pages');
is(sql('SELECT page FROM notes'), 'p3', 'a group that goes takes along what points at it');
sql(q{CREATE TABLE known (page text PRIMARY KEY);
	INSERT INTO known SELECT DISTINCT page FROM each WHERE page IS NOT NULL;
	ALTER TABLE each ADD FOREIGN KEY (page) REFERENCES known;
	INSERT INTO clicks VALUES ('2024-05-01 13:00:04Z', 'p1', 10), ('2024-05-01 13:00:04Z', 'unknown', 10)});
$node->caught_up('each');
is(sql("SELECT count(*) FROM each WHERE page = 'unknown'"), '0', 'a row whose page is not known does not get in');
like(sql("SELECT error FROM streamx.dead_letters WHERE view = 'each'::regclass"), qr/violates foreign key constraint/, 'but is a dead letter');
sql("INSERT INTO known VALUES ('unknown')");
is(sql("SELECT streamx.reprocess(view => 'each')"), '1', 'until its page is there');
is(sql("SELECT * FROM streamx.verify('each')"), '', 'then nothing is missing');

# ---- COPY out, while rows come ----

foreach my $round (1 .. 5)
{
	sql(qq{INSERT INTO clicks SELECT '2024-05-01 13:01:00Z', 'copy', 10 FROM generate_series(1, 100)});
	my $copy = sql("COPY (SELECT n, total FROM pages WHERE page = 'copy') TO STDOUT");
	$copy =~ /^(?:(\d+)\t(\d+))?$/ or fail("COPY says $copy");
	is($2 // 0, 10 * ($1 // 0), 'COPY sees a batch as a whole');
}
$node->caught_up($_) for qw(pages each);
is(sql("COPY each TO STDOUT") =~ tr/\n// + 1, sql('SELECT count(*) FROM each'), 'COPY of a result');
is(sql("SELECT * FROM streamx.verify('pages')"), '', 'all is well');

# ---- a publication of everything, our own tables as well ----

sql(q{CREATE PUBLICATION everything FOR ALL TABLES;
	CREATE FOREIGN TABLE more (ts timestamptz, page text, n int) SERVER streamx
		OPTIONS (event_time 'ts', watermark '5 s', retain '1 day', late_row_retention '1 day');
	CREATE VIEW late WITH (streamx.continuous, streamx.late = 'keep', streamx.retention = '10 minutes') AS
		SELECT tumble(ts, '1 minute') AS minute, page, percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM more GROUP BY minute, page;
	CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final') AS
		SELECT page, session(ts, '3 s') AS s, count(DISTINCT n) FROM more GROUP BY page, s;
	CREATE VIEW top WITH (streamx.continuous) AS SELECT page, count(*) AS n FROM more GROUP BY page ORDER BY n DESC, page LIMIT 3;
	CREATE VIEW pairs WITH (streamx.continuous) AS
		SELECT a.page, a.n, b.n AS other FROM more a LEFT JOIN more b ON b.page = a.page AND b.n = a.n + 7 AND b.ts BETWEEN a.ts AND a.ts + interval '8 s'});
foreach my $batch (0 .. 3)
{
	sql(qq{INSERT INTO more SELECT '2024-05-01 10:00:00Z'::timestamptz + i * interval '1 s', 'p' || i % 7, i
		FROM generate_series($batch * 300 + 1, $batch * 300 + 300) i});
	$node->caught_up($_) for qw(late final top pairs);
}
sql(q{INSERT INTO more VALUES ('2024-05-01 09:00:00Z', 'p1', 1)});
$node->caught_up($_) for qw(late final top pairs);
is(sql("SELECT count(*) FROM streamx.late_rows WHERE view = 'late'::regclass"), '1', 'a late row is kept');
is(sql("SELECT view, error FROM streamx.views WHERE state <> 'running' OR error IS NOT NULL AND view NOT IN ('pages'::regclass, 'each'::regclass)"), '',
	'no view minds that everything is published');
is(sql("SELECT count(*) FROM streamx.verify('top')"), '0', 'they are exact');
sql("SELECT streamx.rebuild('late')");
$node->caught_up('late');
is(sql("SELECT streamx.reprocess()"), '0', 'nor does a rebuild');
sql('DROP VIEW late, final, top, pairs');

$node->stop;
$other->stop;
done_testing();
