
# A stream that several threads decode (option decode_threads): order, exactly
# once under kills, dead letters, and the option changed while it is read.

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

use constant EVENTS     => 100_000;
use constant PARTITIONS => 4;

StreamxCluster->needs_program('kcat');
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'autovacuum = off');
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('events');
my $dead = 0;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Produce events [from, to) and keep them in a table.
sub produce
{
	my ($from, $to) = @_;
	my @out;

	foreach my $p (0 .. PARTITIONS - 1)
	{
		open $out[$p], '>', "$dir/events$p" or die $!;
	}
	foreach my $i ($from .. $to - 1)
	{
		my $out = $out[ $i % PARTITIONS ];
		my $s = int($i / 500) + int(rand(8));

		printf $out qq({"ts": "2026-03-01T%02d:%02d:%02dZ", "page": %d, "amount": %d.%02d, "n": %d, "note": "%s"}\n),
		  $s / 3600, $s / 60 % 60, $s % 60, rand(300), rand(1000), rand(100), $i, 'x' x rand(40);
		if ($i % 10000 == 7)
		{
			print $out "not JSON\n";
			$dead++;
		}
	}
	foreach my $p (0 .. PARTITIONS - 1)
	{
		close $out[$p] or die $!;
		system('kcat', '-P', '-b', $bootstrap, '-t', 'events', '-p', $p, '-l', "$dir/events$p") == 0 or die 'kcat failed';
		sql(<<"SQL");
CREATE TEMP TABLE lines (line text);
COPY lines FROM '$dir/events$p';
INSERT INTO produced
  SELECT (doc->>'ts')::timestamptz, (doc->>'page')::int, (doc->>'amount')::numeric, (doc->>'n')::bigint, doc->>'note', $p
  FROM (SELECT line::jsonb AS doc FROM lines WHERE line ~ '^{') AS j;
SQL
	}
	return;
}

$kafka->create_topic('events', PARTITIONS);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (ts timestamptz, page int, amount numeric, n bigint, note text,
  part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '1 hour', idle_timeout '0', decode_threads '3');
CREATE TABLE produced (ts timestamptz, page int, amount numeric, n bigint, note text, part int);
CREATE TABLE campaigns AS SELECT i AS page, i % 10 AS campaign FROM generate_series(0, 199) AS i;
SQL
produce(0, EVENTS);

my %queries = (
	per_minute => q(SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS amount, max(note) AS note FROM events GROUP BY 1, 2),
	total => q(SELECT count(*), sum(amount) AS amount, sum(n) AS n FROM events),
	each_row => q(SELECT n, part, amount * 2 AS amount, note FROM events),
	joined => q(SELECT campaign, count(*), sum(amount) AS amount FROM events LEFT JOIN campaigns USING (page) GROUP BY campaign),
);

sub all_equal
{
	my ($when) = @_;

	$node->views_same(\%queries, 'events', 'produced', $when);
	is(sql('SELECT count(*) FROM streamx.dead_letters'), $dead, "$when: what does not decode is a dead letter, once");
	is(sql('SELECT count(*) FROM streamx.late_rows'), 0, "$when: nothing is late");
	return;
}

# Threads of the worker that help to decode, and how often they have waited.
sub helpers
{
	my ($pid) = $node->worker;
	my @waits;

	foreach my $task (glob "/proc/$pid/task/*")
	{
		# a thread may end meanwhile
		eval {
			push @waits, slurp_file("$task/status") =~ /^voluntary_ctxt_switches:\s*(\d+)/m
			  if slurp_file("$task/comm") =~ /^streamx decode$/m;
		};
	}
	return @waits;
}

sql("CREATE VIEW $_ WITH (streamx.continuous) AS $queries{$_}") foreach sort keys %queries;
sql('CREATE VIEW in_order WITH (streamx.continuous) AS SELECT part, pos FROM events');
all_equal('after catching up');
$node->caught_up('in_order', 180);
is( sql(q(SELECT count(*) FROM (SELECT pos, lag(pos) OVER (PARTITION BY part ORDER BY ctid) AS before FROM in_order) AS x WHERE pos <= before)),
	0, 'rows of a partition have kept their order');
is(sql('SELECT count(*) FROM in_order'), EVENTS, 'each is there');

SKIP:
{
	skip 'there is no /proc', 1 unless -d '/proc/self/task';

	# seen while a view reads all again: when tasks have become one, the threads
	# of the others are gone
	my $called = 0;
	for (my $try = 0; $try < 20 && !$called; $try++)
	{
		sql('CREATE VIEW again WITH (streamx.continuous) AS SELECT count(*) FROM events');
		for (my $look = 0; $look < 50 && !$called; $look++)
		{
			my @waits = helpers();

			$called = @waits >= 2 && grep { $_ > 1 } @waits;
		}
		sql('DROP VIEW again');
	}
	ok($called, 'two threads help, and have been called for it');
}

# ---- kills on the way

sql("SELECT streamx.pause('$_')") foreach sort keys %queries;
produce(EVENTS, 2 * EVENTS);
sql("SELECT streamx.resume('$_')") foreach sort keys %queries;
foreach my $kill (1 .. 4)
{
	$node->worker;
	usleep(100_000 + rand(400_000));
	$node->interrupt($kill == 4 ? 'immediate' : 'worker');
}
all_equal('after kills');

# ---- the option changes while rows are read

sql("SELECT streamx.pause('$_')") foreach sort keys %queries;
produce(2 * EVENTS, 3 * EVENTS);
sql("SELECT streamx.resume('$_')") foreach sort keys %queries;
foreach my $n (1, 16, 2)
{
	usleep(200_000);
	sql("ALTER FOREIGN TABLE events OPTIONS (SET decode_threads '$n')");
}
all_equal('with the option changed');
sql('ALTER FOREIGN TABLE events OPTIONS (DROP decode_threads)');
produce(3 * EVENTS, 3 * EVENTS + 1000);
all_equal('without it');
SKIP:
{
	skip 'there is no /proc', 1 unless -d '/proc/self/task';

	# the thread that reads ends those that helped it
	my $helpers;
	for (1 .. 600)
	{
		$helpers = helpers();
		last if $helpers == 0;
		usleep(100_000);
	}
	is($helpers, 0, 'and no thread helps');
}

$node->log_is_clean;
$node->stop;
done_testing();
