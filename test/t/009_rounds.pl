
# Batches of several rounds: far behind, a batch takes rows in several times
# before it writes.  Views of all kinds still equal the batch query, and rows
# that fail are found.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

use constant EVENTS => 200_000;

StreamxCluster->needs_program('kcat');
my $kafka = StreamxKafka->new;

# a round is 8,192 rows at most, the least that a reader hands over
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'streamx.max_batch_size = 64kB');
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('events');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Produce events [from, to) and keep them in a table.
sub produce
{
	my ($from, $to) = @_;

	open my $out, '>', "$dir/events" or die $!;
	foreach my $i ($from .. $to - 1)
	{
		my $s = int($i / 500) - int(rand(8)) + 8;
		printf $out qq({"ts": "2026-03-01T%02d:%02d:%02dZ", "page": %d, "amount": %d.%02d, "n": %d}\n),
		  $s / 3600, $s / 60 % 60, $s % 60, rand(300), rand(1000), rand(100), $i;
		print $out "not JSON\n" if $i % 20000 == 7;
	}
	close $out or die $!;
	system('kcat', '-P', '-b', $bootstrap, '-t', 'events', '-p', 0, '-l', "$dir/events") == 0 or die 'kcat failed';
	sql(<<"SQL");
CREATE TEMP TABLE lines (line text);
COPY lines FROM '$dir/events';
INSERT INTO produced
  SELECT (doc->>'ts')::timestamptz, (doc->>'page')::int, (doc->>'amount')::numeric, (doc->>'n')::bigint
  FROM (SELECT line::jsonb AS doc FROM lines WHERE line ~ '^{') AS j;
SQL
	return;
}

$kafka->create_topic('events', 1);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (ts timestamptz, page int, amount numeric, n bigint)
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '10 seconds', idle_timeout '0');
CREATE TABLE produced (ts timestamptz, page int, amount numeric, n bigint);
CREATE TABLE campaigns AS SELECT i AS page, i % 10 AS campaign FROM generate_series(0, 199) AS i;
SQL
produce(0, EVENTS);

my %queries = (
	per_minute => q(SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS amount, max(n) AS n FROM events GROUP BY 1, 2),
	some_pages => q(SELECT page, count(*), avg(amount) AS amount FROM events GROUP BY page HAVING count(*) % 3 <> 0),
	hops => q(SELECT hop(ts, '20 seconds', '2 minutes') AS start, page % 7 AS page, count(*), sum(n) AS n FROM events GROUP BY 1, 2),
	cubed => q(SELECT page % 5 AS a, n % 4 AS b, GROUPING(page % 5, n % 4) AS g, count(*), min(amount) AS amount FROM events GROUP BY CUBE (1, 2)),
	pages => q(SELECT DISTINCT page FROM events),
	total => q(SELECT count(*), sum(amount) AS amount FROM events),
	each_row => q(SELECT n, amount * 2 AS amount FROM events),
	joined => q(SELECT campaign, count(*), sum(amount) AS amount FROM events LEFT JOIN campaigns USING (page) GROUP BY campaign),
	held => q(SELECT tumble(ts, '1 minute') AS minute, percentile_disc(0.5) WITHIN GROUP (ORDER BY amount) AS median,
	          string_agg(n::text, ',' ORDER BY n) FILTER (WHERE n % 100 = 1) AS some FROM events GROUP BY 1),
	ranked => q(SELECT page % 20 AS p, max(c) AS most FROM (SELECT page, n % 3 AS k, count(*) AS c FROM events GROUP BY 1, 2) AS s GROUP BY 1),
	newest => q(SELECT DISTINCT ON (page % 20) page % 20 AS p, n FROM events ORDER BY page % 20, n DESC),
	tops => q(SELECT * FROM (SELECT tumble(ts, '1 minute') AS minute, page, count(*) AS c,
	            row_number() OVER (PARTITION BY tumble(ts, '1 minute') ORDER BY count(*) DESC, page) AS rank
	          FROM events GROUP BY 1, 2) AS x WHERE rank <= 3),
	uniques => q(SELECT tumble(ts, '1 minute') AS minute, count(DISTINCT page) AS pages, sum(DISTINCT n % 100) AS s FROM events GROUP BY 1),
	bursts => q(SELECT session(ts, '1 second') AS s, page % 100 AS page, count(*) FROM events WHERE page < 100 GROUP BY 1, 2),
);

# Each view equals its query over what was produced, but for these rows.
sub all_equal
{
	my ($when, %without) = @_;

	foreach my $view (sort keys %queries)
	{
		my $query = $queries{$view};
		my $rows = 'produced' . ($without{$view} ? " WHERE NOT ($without{$view})" : '');

		$query =~ s/\bevents\b/(SELECT * FROM $rows) AS events/;
		$node->same("TABLE $view", $query, "$when: $view");
	}
	return;
}

sql("CREATE VIEW $_ WITH (streamx.continuous) AS $queries{$_}") foreach sort keys %queries;
$node->caught_up($_, 180) foreach sort keys %queries;
all_equal('after catching up');
is(sql('SELECT count(*) FROM streamx.dead_letters'), EVENTS / 20000, 'what does not decode is a dead letter, once');

# one batch a round would be at least 25 for each
cmp_ok(sql("SELECT batches FROM streamx.views WHERE view = 'total'::regclass"), '<', 25, 'rounds have shared batches');

# ---- sinks, of several views: what one writes in a later round goes there too

sql('DROP VIEW ' . join ', ', sort keys %queries);
$kafka->create_topic($_, 1) foreach qw(rows_out minutes_out pages_out);
sql(<<'SQL');
CREATE FOREIGN TABLE rows_out (n bigint, amount numeric) SERVER broker OPTIONS (topic 'rows_out');
CREATE FOREIGN TABLE minutes_out (minute timestamptz, page int, count bigint) SERVER broker OPTIONS (topic 'minutes_out');
CREATE FOREIGN TABLE pages_out (page int, count bigint, off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 'pages_out');
CREATE FOREIGN TABLE native_out (n bigint, amount numeric) SERVER streamx;
CREATE VIEW from_native WITH (streamx.continuous) AS SELECT count(*), sum(amount) AS amount, sum(n) AS n FROM native_out;
CREATE VIEW a_row WITH (streamx.continuous, streamx.sink = 'rows_out') AS SELECT n, amount FROM events WHERE n % 2 = 0;
CREATE VIEW b_minute WITH (streamx.continuous, streamx.emit = 'final', streamx.sink = 'minutes_out') AS
  SELECT tumble(ts, '1 minute') AS minute, page, count(*) FROM events GROUP BY 1, 2;
CREATE VIEW c_page WITH (streamx.continuous, streamx.sink = 'pages_out', streamx.key = 'page') AS
  SELECT page, count(*) FROM events WHERE page % 10 = 1 GROUP BY page;
CREATE VIEW d_native WITH (streamx.continuous, streamx.sink = 'native_out') AS SELECT n, amount FROM events;
CREATE VIEW e_none WITH (streamx.continuous) AS SELECT page % 3 AS page, count(*) FROM events GROUP BY 1;
SQL
$node->caught_up($_, 180) foreach qw(a_row b_minute c_page d_native e_none);
$node->caught_up('from_native', 180);
ok($node->wait_until(q(SELECT bool_and(sink_lag = 0) FROM streamx.views WHERE view::text ~ '^[abc]_')), 'all is sent');
$node->same('TABLE a_row', 'SELECT n, amount FROM rows_out', 'rows, each sent once');
is(sql('SELECT count(*) FROM a_row'), EVENTS / 2, 'all of them');
$node->same('TABLE b_minute', 'TABLE minutes_out', 'rows of closed windows, each sent once');
$node->same('TABLE c_page', 'SELECT DISTINCT ON (page) page, count FROM pages_out ORDER BY page, off DESC', 'groups, their last state sent last');
$node->same('TABLE from_native', 'SELECT count(*), sum(amount), sum(n) FROM produced', 'rows for a native stream');
sql('DROP VIEW from_native, a_row, b_minute, c_page, d_native, e_none; DROP FOREIGN TABLE native_out');

# ---- rows that fail, for some of the views

%queries = (
	total => $queries{total},
	per_minute => $queries{per_minute},
	differ => q(SELECT page % 20 AS page, count(DISTINCT n % 3000) AS ns, sum(DISTINCT n % 700) AS s, count(DISTINCT amount) AS amounts FROM events GROUP BY 1),
	fails => q(SELECT page % 10 AS page, sum(100 / (n % 30000)) AS sum FROM events GROUP BY 1),
	fails_differ => q(SELECT page % 10 AS page, count(DISTINCT 100 / (n % 40000)) AS n, sum(DISTINCT n % 900) AS sum FROM events GROUP BY 1),
	fails_held => q(SELECT page % 3 AS page, percentile_disc(0.5) WITHIN GROUP (ORDER BY 1000 / ((n + 5) % 50000)) AS m FROM events GROUP BY 1),
	fails_row => q(SELECT n, 1 / (n % 45000) AS x FROM events),
);
sql("CREATE VIEW $_ WITH (streamx.continuous) AS $queries{$_}") foreach sort keys %queries;
my @without = (fails => 'n % 30000 = 0', fails_differ => 'n % 40000 = 0', fails_held => '(n + 5) % 50000 = 0', fails_row => 'n % 45000 = 0');
$node->caught_up($_, 180) foreach sort keys %queries;
all_equal('with rows that fail', @without);
is(sql(q(SELECT view::regclass, count(*), count(DISTINCT position) FROM streamx.dead_letters WHERE view IS NOT NULL GROUP BY 1 ORDER BY 1::text)),
	"fails|7|7\nfails_differ|5|5\nfails_held|4|4\nfails_row|5|5", 'each is a dead letter of its view');

# ---- the same where the views stand already

sql("SELECT streamx.pause('$_')") foreach sort keys %queries;
produce(EVENTS, EVENTS + 100_000);
sql("SELECT streamx.resume('$_')") foreach sort keys %queries;
$node->caught_up($_, 180) foreach sort keys %queries;
all_equal('going on', @without);
is(sql("SELECT count(*) FROM streamx.dead_letters WHERE view = 'fails'::regclass"), 10, 'those that fail later as well');

$node->log_is_clean;
$node->stop;
done_testing();
