
# A stream that several processes read and fold (option parallelism): the same
# results as by the worker alone, exactly once under kills of any of them, rows
# that fail or do not decode, late rows, definitions that change meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(usleep);

use constant EVENTS     => 60_000;
use constant PARTITIONS => 5;

StreamxCluster->needs_program('kcat');
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'autovacuum = off',
	'max_worker_processes = 16');
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('events');
my $dead = 0;
my $produced = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Produce n events and keep them in a table.  Of the topic "late" each thousandth
# is an hour behind.
sub produce
{
	my ($topic, $n) = @_;
	my @out;

	foreach my $p (0 .. PARTITIONS - 1)
	{
		open $out[$p], '>', "$dir/events$p" or die $!;
	}
	foreach my $i ($produced .. $produced + $n - 1)
	{
		my $out = $out[ $i % PARTITIONS ];
		my $s = int($i / 500) + int(rand(8)) + 7200;

		$s -= 3600 if $topic eq 'late' && $i % 1000 == 3;
		printf $out qq({"ts": "2026-03-01T%02d:%02d:%02dZ", "page": %d, "amount": %d.%02d, "n": %d, "note": "%s"}\n),
		  $s / 3600, $s / 60 % 60, $s % 60, rand(300), rand(1000), rand(100), $i, 'x' x rand(40);
		if ($i % 10000 == 7)
		{
			print $out "not JSON\n";
			$dead++;
		}
	}
	$produced += $n;
	foreach my $p (0 .. PARTITIONS - 1)
	{
		close $out[$p] or die $!;
		system('kcat', '-P', '-b', $bootstrap, '-t', $topic, '-p', $p, '-l', "$dir/events$p") == 0 or die 'kcat failed';
		sql(<<"SQL");
CREATE TEMP TABLE lines (line text);
COPY lines FROM '$dir/events$p';
INSERT INTO $topic\_rows
  SELECT (doc->>'ts')::timestamptz, (doc->>'page')::int, (doc->>'amount')::numeric, (doc->>'n')::bigint, doc->>'note', $p
  FROM (SELECT line::jsonb AS doc FROM lines WHERE line ~ '^{') AS j;
SQL
	}
	return;
}

foreach my $topic (qw(events late))
{
	$kafka->create_topic($topic, PARTITIONS);
	sql(<<"SQL");
CREATE SERVER IF NOT EXISTS broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE $topic (ts timestamptz, page int, amount numeric, n bigint, note text,
  part int OPTIONS (metadata 'partition'))
  SERVER broker OPTIONS (topic '$topic', event_time 'ts', watermark '1 minute', idle_timeout '0', parallelism '3');
CREATE TABLE $topic\_rows (ts timestamptz, page int, amount numeric, n bigint, note text, part int);
SQL
}
sql(q(CREATE TABLE campaigns AS SELECT i AS page, i % 10 AS campaign FROM generate_series(0, 199) AS i));

my %queries = (
	per_minute => q(SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS amount, avg(n) AS n, max(note) AS note FROM events GROUP BY 1, 2),
	overlapping => q(SELECT hop(ts, '20 seconds', '1 minute') AS minute, part, count(*), sum(amount) AS amount FROM events GROUP BY 1, 2),
	total => q(SELECT count(*), sum(amount) AS amount, sum(n) AS n FROM events),
	various => q(SELECT page % 7 AS kind, count(DISTINCT note), count(DISTINCT page) AS pages FROM events GROUP BY 1),
	joined => q(SELECT campaign, count(*), sum(amount) AS amount FROM events LEFT JOIN campaigns USING (page) GROUP BY campaign),
);

sub all_equal
{
	my ($when) = @_;

	$node->views_same(\%queries, 'events', 'events_rows', $when);
	is(sql('SELECT count(*) FROM streamx.dead_letters WHERE view IS NULL'), $dead, "$when: what does not decode is a dead letter, once");
	return;
}

sub folding
{
	return sql(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamx fold process'));
}

# Who folds is settled when rows come.
sub await_folding
{
	my ($topic, $n, $what) = @_;
	my $folding;

	for (1 .. 200)
	{
		$folding = folding();
		last if $folding == $n;
		produce($topic, 100);
		usleep(300_000);
	}
	is($folding, $n, $what);
	return;
}

# How often fold processes have given up by themselves.
sub failures
{
	return scalar(() = slurp_file($node->logfile) =~ /fold processes of stream .* have failed/g);
}

sql("CREATE VIEW $_ WITH (streamx.continuous) AS $queries{$_}") foreach sort keys %queries;
sql(q(CREATE VIEW closed WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS amount FROM events GROUP BY 1, 2));
produce('events', EVENTS);
all_equal('at first');
produce('events', EVENTS);
await_folding('events', 3, 'as many processes fold as the stream says');
all_equal('after catching up');
is(failures(), 0, 'none has failed');

# ---- kills on the way

sub while_reading
{
	my ($what, $code) = @_;

	sql("SELECT streamx.pause('$_')") foreach sort keys %queries;
	produce('events', EVENTS);
	sql("SELECT streamx.resume('$_')") foreach sort keys %queries;
	$code->();
	all_equal($what);
	return;
}

while_reading('after kills', sub {
	foreach my $kill (1 .. 3)
	{
		$node->worker;
		usleep(100_000 + rand(400_000));
		$node->interrupt($kill == 3 ? 'immediate' : 'worker');
	}
});
while_reading('after kills of fold processes', sub {
	foreach my $kill (1 .. 4)
	{
		my ($pid) = $node->pids('streamx fold process');

		for (my $try = 0; !$pid && $try < 200; $try++)
		{
			produce('events', 100);
			($pid) = $node->pids('streamx fold process');
		}
		ok($pid, "fold process to be killed, $kill");
		usleep(rand(200_000));
		if ($kill % 2)
		{
			sql("SELECT pg_terminate_backend($pid)");
		}
		elsif (kill 0, $pid)
		{
			$node->kill_process($pid);
		}
	}
});

# ---- rows that fail in one view, joined tables and definitions that change

while_reading('with changes of what is joined and of a view', sub {
	sql(q(CREATE VIEW divided WITH (streamx.continuous) AS
	  SELECT part, count(*), sum(1000 / (n % 50000 - 49999)) AS s FROM events GROUP BY part));
	foreach my $i (1 .. 5)
	{
		usleep(100_000);
		sql('ANALYZE campaigns');
		sql("ALTER TABLE campaigns ALTER COLUMN campaign SET STATISTICS $i");
	}
});
$node->caught_up('divided', 180);
my $divided = q(SELECT part, count(*), sum(1000 / (n % 50000 - 49999)) AS s FROM events_rows WHERE n % 50000 <> 49999 GROUP BY part);
$node->same('TABLE divided', $divided, 'rows that fail are left out');
is(sql(q(SELECT count(*) FROM streamx.dead_letters WHERE view = 'divided'::regclass)),
	int($produced / 50000), 'and are dead letters');
cmp_ok(failures(), '>=', 1, 'which a fold process cannot tell');
sql('DROP VIEW divided');

sql(q(CREATE OR REPLACE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(amount) AS amount, sum(n) AS n FROM events));
foreach my $n (1, 5, 2)
{
	while_reading("with the option set to $n", sub {
		usleep(200_000);
		sql("ALTER FOREIGN TABLE events OPTIONS (SET parallelism '$n')");
	});
}
await_folding('events', 2, 'as many processes as it says now');

# ---- a view that cannot be folded apart

sql('CREATE VIEW each_row WITH (streamx.continuous) AS SELECT n, part, amount * 2 AS amount, note FROM events');
$node->caught_up('each_row', 180);
produce('events', 1000);
all_equal('beside a view that writes rows');
await_folding('events', 0, 'the worker does it alone then');
$node->caught_up('each_row', 180);
$node->same('TABLE each_row', 'SELECT n, part, amount * 2 AS amount, note FROM events_rows', 'whose rows are there');
like(sql(q(SELECT streamx.explain('each_row'))),
	qr/parallelism.*not/i, 'streamx.explain says why');
sql('DROP VIEW each_row');

# ---- what was closed is what all that came gives

$node->caught_up('closed', 180);
is(sql(q(SELECT count(*) FROM closed JOIN
  (SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS amount FROM events_rows GROUP BY 1, 2) AS q
  USING (minute, page) WHERE (closed.count, closed.amount) IS DISTINCT FROM (q.count, q.amount))), 0,
	'final rows are those of the query');
cmp_ok(sql('SELECT count(*) FROM closed'), '>', 0, 'there are some');

# ---- late rows

sql(q(CREATE VIEW in_time WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, count(*) FROM late GROUP BY 1));
produce('late', EVENTS);
$node->caught_up('in_time', 180);
produce('late', EVENTS);
await_folding('late', 3, 'late rows come to several processes');
foreach my $i (1 .. 5)
{
	produce('late', 10_000);
	$node->caught_up('in_time', 180);
}
is(sql(q(SELECT (SELECT sum(count) FROM in_time) + (SELECT rows_late FROM streamx.views WHERE view = 'in_time'::regclass))),
	sql('SELECT count(*) FROM late_rows'), 'each row counts or is late');
cmp_ok(sql(q(SELECT rows_late FROM streamx.views WHERE view = 'in_time'::regclass)), '>', 0, 'some are late');

$node->log_is_clean;
$node->stop;
done_testing();
