
# Views over several streams: two workers that share the streams out, views
# that come to connect streams, restarts and crashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 2');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Four streams, each with a table that gets the same rows and a view of its own.
foreach my $s (qw(a b c d))
{
	sql(qq(CREATE TABLE t$s (ts timestamptz, k int, v bigint);
CREATE FOREIGN TABLE s$s (ts timestamptz, k int, v bigint) SERVER streamx
  OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 day');
CREATE VIEW v$s WITH (streamx.continuous) AS SELECT k, count(*), sum(v) FROM s$s GROUP BY k));
}
sql(q(CREATE PROCEDURE feed(stream text, first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN first .. last LOOP
    EXECUTE format('WITH r AS (SELECT %L::timestamptz + %s * interval ''1 s'' AS ts, j %% 13 AS k, %s * j AS v FROM generate_series(1, 1 + %s %% 7) j),
      t AS (INSERT INTO t%s SELECT * FROM r) INSERT INTO s%s SELECT * FROM r', '2026-01-01', i, i, i, stream, stream);
    COMMIT;
  END LOOP;
END $$;));

# Writers that go on while something else happens.
my @writers;

sub feed
{
	my ($first, $last) = @_;

	foreach my $s (qw(a b c d))
	{
		push @writers,
		  IPC::Run::start(
			[ 'psql', '-qX', '-d', $node->connstr('postgres'), '-c', "CALL feed('$s', $first, $last)" ],
			'<', \'', '>', \my $out, '2>', \my $err);
	}
	return;
}

sub fed
{
	ok($_->finish, 'a writer is through') foreach @writers;
	@writers = ();
	return;
}

sub half_way
{
	my ($i) = @_;

	ok($node->wait_until("SELECT max(ts) >= timestamptz '2026-01-01' + $i * interval '1 s' FROM td"),
		'writers are on their way');
	return;
}

my $rows = q((SELECT 'a' AS s, * FROM ta UNION ALL SELECT 'b', * FROM tb UNION ALL SELECT 'c', * FROM tc UNION ALL SELECT 'd', * FROM td) t);

sub all_are_right
{
	my ($when) = @_;

	foreach my $s (qw(a b c d))
	{
		$node->caught_up("v$s");
		$node->same("TABLE v$s", "SELECT k, count(*), sum(v) FROM t$s GROUP BY k", "view of stream $s $when");
	}
	$node->caught_up('all_of_them');
	$node->same('TABLE all_of_them', "SELECT s, k, count(*), sum(v) FROM $rows GROUP BY s, k",
		"view of all streams $when");
	$node->caught_up('first_two');
	$node->same('TABLE first_two',
		"SELECT tumble(ts, '1 minute') AS w, count(*), count(DISTINCT v) AS vs FROM $rows WHERE s < 'c' GROUP BY w",
		"view of two streams $when");
	is(sql(q(SELECT count(*) FROM streamx.views v, streamx.verify(v.view))), 0, "verified $when");
	return;
}

feed(1, 1500);
ok($node->wait_until(q(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'streamx worker')),
	'two workers share the streams');

# they are connected, two by two and then all, while rows come
sql(q(CREATE VIEW first_two WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), count(DISTINCT v) AS vs
  FROM (TABLE sa UNION ALL TABLE sb) u GROUP BY w));
sql(q(CREATE VIEW last_two WITH (streamx.continuous) AS SELECT v FROM sc UNION ALL SELECT k FROM sd WHERE k > 3));
ok($node->wait_until(q(SELECT count(*) > 0 FROM first_two)), 'the view of two goes');
sql(q(CREATE VIEW all_of_them WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT s, k, count(*), sum(v) FROM (SELECT 'a' AS s, * FROM sa UNION ALL SELECT 'b', * FROM sb
    UNION ALL SELECT 'c', * FROM sc UNION ALL SELECT 'd', * FROM sd) u GROUP BY s, k));
fed();
all_are_right('after streams were connected');
ok($node->wait_until(q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'streamx worker')),
	'one worker has them all');

# apart and together again
feed(1501, 3000);
sql(q(SELECT streamx.pause('all_of_them')));
ok($node->wait_until(q(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'streamx worker')),
	'two workers again');
sql(q(SELECT streamx.resume('all_of_them')));
sql(q(SELECT streamx.pause('first_two')));
sql(q(SELECT streamx.resume('first_two')));
fed();
all_are_right('after some were paused');

# somebody holds one of the views: it falls back on all its streams, alone
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE all_of_them IN ACCESS EXCLUSIVE MODE');
sql(q(CALL feed('a', 3001, 3020)));
sql(q(CALL feed('d', 3001, 3020)));
$node->caught_up('va');
$node->caught_up('vd');
$node->caught_up('first_two');
sql(q(CALL feed('b', 3001, 3020)));
$node->caught_up('vb');
$session->query_safe('COMMIT');
$session->quit;
all_are_right('after it was locked');

# computed anew, while rows of one stream come
feed(3021, 3050);
sql("SELECT streamx.rebuild('$_')") foreach qw(all_of_them first_two last_two);
fed();
all_are_right('after a rebuild');

# restarts, in the midst of it
feed(3001, 4500);
half_way(3301);
$node->restart;
$_->finish foreach @writers;
@writers = ();
all_are_right('after a restart');
feed(4501, 6000);
half_way(4801);
$node->crash;
$_->finish foreach @writers;
@writers = ();
$node->start;
all_are_right('after a crash');
feed(6001, 7500);
half_way(6301);
$node->interrupt('worker');
$_->finish foreach @writers;
@writers = ();
all_are_right('after the death of a worker');

# a stream that goes takes its views along, the others go on
sql(q(SET client_min_messages = warning; DROP FOREIGN TABLE sb CASCADE));
is(sql(q(SELECT string_agg(view::text, ' ' ORDER BY view::text) FROM streamx.views)), 'last_two va vc vd',
	'views that read it are gone');
sql(q(CALL feed('a', 1, 10)));
$node->caught_up('va');
$node->same('TABLE va', 'SELECT k, count(*), sum(v) FROM ta GROUP BY k', 'the others go on');

$node->log_is_clean;
done_testing();
