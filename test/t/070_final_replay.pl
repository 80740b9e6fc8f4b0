
# Final rows: the groups of open windows are in memory only.  Whatever ends a
# worker in the midst of them, they are filled again from the replay position,
# and each window comes out once and right.
#
# STREAMX_TEST_SEED: the seed of the moments, as printed before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{STREAMX_TEST_SEED} // int(time * 1000) % 1_000_000_007;
my $rounds = $ENV{STREAMX_LONG} ? 40 : 15;
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'",
	'streamx.max_batch_rows = 700', 'max_wal_size = 1GB', 'autovacuum_naptime = 5s');
my $bootstrap = $kafka->bootstrap;

srand($seed);
diag("STREAMX_TEST_SEED=$seed");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

$kafka->create_topic('k', 3);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE k (i bigint, ts timestamptz, g int, v int, t text) SERVER broker
  OPTIONS (topic 'k', format 'csv', event_time 'ts', watermark '30 seconds', idle_timeout '0');
CREATE FOREIGN TABLE n (i bigint, ts timestamptz, g int, v int, t text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '30 seconds', idle_timeout '0');
CREATE TABLE k_t (i bigint, ts timestamptz, g int, v int, t text);
CREATE TABLE n_t (LIKE k_t);
SQL

# what each view counts, and what of it has to be there by a watermark
my %query = (
	minutes => q(SELECT tumble(ts, '1 minute') AS w, g, count(*) AS c, sum(v) AS s, min(t) AS t, avg(v) AS a FROM {s} GROUP BY w, g),
	hours => q(SELECT tumble(ts, '15 minutes') AS w, g % 10 AS g, sum(v::numeric) AS s, max(t) AS t, stddev(v) AS d FROM {s} GROUP BY 1, 2),
	hops => q(SELECT hop(ts, '1 minute', '10 minutes') AS w, g, count(*) AS c, sum(v::numeric) AS s, min(t) AS t FROM {s} GROUP BY w, g),
	steps => q(SELECT cumulate(ts, '1 minute', '5 minutes') AS w, g % 10 AS g, avg(v) AS a, max(t) AS t, stddev(v) AS d FROM {s} GROUP BY 1, 2 HAVING count(*) > 2),
	grows => q(SELECT date_trunc('minute', ts) AS w, count(*) AS c, count(*) FILTER (WHERE v > 50) AS f FROM {s} WHERE g < 50 GROUP BY w HAVING count(*) > 3),
);
my %size = (minutes => '1 minute', hours => '15 minutes', hops => '10 minutes', steps => '0', grows => '1 minute');

foreach my $s ('k', 'n')
{
	foreach my $view (sort keys %query)
	{
		my $query = $query{$view} =~ s/\{s\}/$s/r;
		sql("CREATE VIEW ${s}_$view WITH (streamx.continuous, streamx.emit = 'final') AS $query");
	}
}

sub same
{
	my ($what) = @_;

	foreach my $s ('k', 'n')
	{
		foreach my $view (sort keys %query)
		{
			my $query = $query{$view} =~ s/\{s\}/${s}_t/r;
			my $closed = sql("SELECT watermark FROM streamx.views WHERE view = '${s}_$view'::regclass");

			$node->same("TABLE ${s}_$view",
				$closed eq '' ? "SELECT * FROM ($query) q WHERE false" :
				"SELECT * FROM ($query) q WHERE w + interval '$size{$view}' <= '$closed'",
				"$what: ${s}_$view");
		}
	}
}

# rows lo .. hi of a round: 20 a second of event time, within the watermark
sub produce
{
	my ($lo, $hi) = @_;

	sql(<<"SQL");
INSERT INTO k_t SELECT i, '2026-01-01Z'::timestamptz + (i / 20 - (i * 7919) % 25) * interval '1 second',
  (i * 31) % 100, (i * 17) % 101, CASE WHEN i % 13 > 0 THEN md5(i::text) END FROM generate_series($lo, $hi) i;
BEGIN;
INSERT INTO n_t SELECT * FROM k_t WHERE i BETWEEN $lo AND $hi;
INSERT INTO n SELECT * FROM k_t WHERE i BETWEEN $lo AND $hi;
COMMIT;
SQL
	foreach my $p (0 .. 2)
	{
		my @rows = split /\n/,
		  sql("SELECT concat_ws(',', i, ts, g, v, coalesce(t, '')) FROM k_t WHERE i BETWEEN $lo AND $hi AND i % 3 = $p ORDER BY i");
		$kafka->produce('k', $p, @rows);
	}
}

# ---- no writes for what is open

produce(1, 2_000);
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('at first');
is(sql("SELECT count(*) FILTER (WHERE replay_offset < next_offset), count(*) FROM streamx.progress WHERE replay_offset IS NOT NULL"),
	"20|20", 'open windows can be had again');

is(sql(q(SELECT sum(pg_relation_size(state)) FROM streamx.continuous_views)), 0, 'nothing is in state tables');

# ---- a plan or a definition made anew does not empty the memory

my $last = 2_000;
foreach my $change ('ANALYZE k_minutes, n_minutes', 'CREATE INDEX ON n_hours (s)', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
	q(ALTER FOREIGN TABLE k OPTIONS (ADD max_ahead '2 days')))
{
	sql($change);
	produce($last + 1, $last + 300);
	$last += 300;
	$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
}
unlike(slurp_file($node->logfile), qr/reads the rows of its open windows again/, 'memory outlives plans');
same('plans made anew');

# ---- whatever interrupts, at any moment

my ($paused, $planned) = (0) x 2;

foreach my $round (1 .. $rounds)
{
	my $rows = 200 + int(rand(3_000));
	my $kind = $round % 5;

	produce($last + 1, $last + $rows);
	$last += $rows;
	usleep(rand(rand() < 0.5 ? 100_000 : 700_000));
	if ($kind == 0)
	{
		$node->interrupt('worker');
	}
	elsif ($kind == 1)
	{
		$node->interrupt('postmaster');
	}
	elsif ($kind == 2)
	{
		$node->interrupt(rand() < 0.5 ? 'fast' : 'immediate');
	}
	elsif ($kind == 3)
	{
		sql("SELECT streamx.pause('$_')") foreach 'k_minutes', 'k_hops', 'n_hours', 'n_steps';
		produce($last + 1, $last + 300);
		$last += 300;
		sql("SELECT streamx.resume('$_')") foreach 'k_minutes', 'k_hops', 'n_hours', 'n_steps';
		$paused++;
	}
	else
	{
		# planned anew, in the midst of a refill too
		sql("ANALYZE k_minutes; CREATE INDEX ON n_hours (s); DROP INDEX n_hours_s_idx");
		$planned++;
	}
	if (rand() < 0.5)
	{
		$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
		same("round $round");
	}
}
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('after all');
like(slurp_file($node->logfile), qr/reads the rows of its open windows again/, 'rows were read again');
note 'interrupted ' . $node->interruptions . ", paused $paused, planned anew $planned";
is(sql('SELECT sum(rows_late), sum(dead_letters) FROM streamx.views'), '0|0', 'nothing late, nothing failed');
is(sql("SELECT string_agg(view::text, ' ') FROM streamx.views WHERE rows_in <> $last"), '', 'each row is counted once');
# a page whose rows went with a batch that was given up stays; what open windows have would fill more
my $states = 'SELECT state FROM streamx.continuous_views';
my %rows_in = $node->row_counts($states);
is(join(' ', grep { $rows_in{$_} > 0 } sort keys %rows_in), '', 'still no rows in state tables');
is(sql("SELECT string_agg(state || ': ' || pg_relation_size(state), ' ') FROM ($states) AS s WHERE pg_relation_size(state) > 8192"),
	'', 'nor have there been');

# ---- a row that fails is a dead letter once, however often it is read

$kafka->produce('k', 0, 'x,y');
$kafka->produce('k', 1, join ',', $last + 1, '2030-01-01Z', 1, 1, 'ahead');
sql("SELECT streamx.pause('k_minutes'); SELECT streamx.resume('k_minutes')");
$node->crash;
$node->start;
$node->caught_up($_) foreach map { "k_$_" } sort keys %query;
is(sql('SELECT count(*), count(DISTINCT (partition, position)) FROM streamx.dead_letters WHERE view IS NULL'), '2|2', 'dead letters are there once');
same('with dead letters');

# ---- what outgrows its memory goes to the state table, and comes out the same

$node->set_conf('streamx.state_memory' => '64kB');
produce($last + 1, $last + 2_500);
$last += 2_500;
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('little memory');
cmp_ok(sql(q(SELECT sum(pg_relation_size(state)) FROM streamx.continuous_views)), '>', 0, 'groups went to the state table');
$node->crash;
$node->start;
produce($last + 1, $last + 4_000);
$last += 4_000;
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('little memory, after a crash');
$node->set_conf('streamx.state_memory' => '64MB');
produce($last + 1, $last + 30_000);
$last += 30_000;
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('more memory again');
is(sql("SELECT count(*) FROM streamx.progress WHERE replay_offset IS NOT NULL"), 20, 'later windows are in memory again');
$node->stop('immediate');
$node->start;
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
same('and after a restart');

# ---- the topic has lost what open windows need: the view says so, or goes on
# with what there is

my @ends = split /\n/, sql(q(SELECT next_offset FROM streamx.progress WHERE view = 'k_minutes'::regclass ORDER BY partition));
sql("SELECT streamx.pause('k_minutes')");
$kafka->truncate('k', $_, $ends[$_] - 1) foreach 0 .. 2;
sql("SELECT streamx.resume('k_minutes')");
ok($node->wait_until(q(SELECT state = 'stopped' FROM streamx.views WHERE view = 'k_minutes'::regclass)), 'a view stops that cannot have its open windows again');
like(sql(q(SELECT error FROM streamx.views WHERE view = 'k_minutes'::regclass)),
	qr/could not read the rows of open windows again: .*no longer on the broker/, 'and says why');
is(sql(q(SELECT string_agg(state, ' ') FROM streamx.views WHERE view::text IN ('k_hours', 'k_grows', 'n_minutes'))),
	'running running running', 'others go on');
sql("ALTER FOREIGN TABLE k OPTIONS (ADD on_data_loss 'continue'); SELECT streamx.resume('k_minutes')");
produce($last + 1, $last + 30_000);
$node->caught_up($_) foreach map { ("k_$_", "n_$_") } sort keys %query;
is(sql(q(SELECT count(*) > 0 FROM k_minutes WHERE w > (SELECT max(w) - interval '5 minutes' FROM k_minutes))), 't', 'it goes on');
# the watermark of three partitions is not always as far as that of one
$node->same("SELECT * FROM n_$_ WHERE w + interval '$size{$_}' <= (SELECT watermark FROM streamx.views WHERE view = 'k_$_'::regclass)",
	"TABLE k_$_", "on with the others: $_")
  foreach qw(hours hops steps grows);

$node->log_is_clean;
$node->stop;
done_testing();
