
# A worker's memory is flat: over thousands of batches, over millions of
# events, over views that come and go, over errors.
#
# STREAMX_TEST_EVENTS: events of the longest part, default 2,000,000; with
# STREAMX_LONG 10,000,000.

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

my $events = $ENV{STREAMX_TEST_EVENTS} || ($ENV{STREAMX_LONG} ? 10_000_000 : 2_000_000);
StreamxCluster->needs_program('kcat');
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1',
	'max_wal_size = 4GB', 'shared_buffers = 256MB', 'streamx.max_batch_rows = 5000');
my $bootstrap = $kafka->bootstrap;
my $dir = PostgreSQL::Test::Utils::tempdir('events');
my $worker;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# What the worker has now is no more than it had, but for so much.
sub flat
{
	my ($before, $allowed_kb, $name) = @_;
	my $now = $node->rss_kb($worker);

	# what is freed is kept for a while by AddressSanitizer
	$allowed_kb += 100_000 if $ENV{STREAMX_SANITIZE};

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	note "$name: from $before kB to $now kB";
	return cmp_ok($now, '<=', $before + $allowed_kb, $name);
}

# What is in use of the worker's memory contexts, as it says itself.
sub used_kb
{
	my $offset = -s $node->logfile;
	my $end = time + 30;

	sql("SELECT pg_log_backend_memory_contexts($worker)");
	while (time < $end)
	{
		my ($bytes) = substr(slurp_file($node->logfile), $offset) =~ /Grand total: .* (\d+) used$/m;

		return int($bytes / 1024) if defined $bytes;
		usleep(50_000);
	}
	die 'the worker does not tell of its memory';
}

$kafka->create_topic('events', 4);
sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap',
  "queued.max.messages.kbytes" '16384');
CREATE FOREIGN TABLE events (ts timestamptz, page text, amount numeric, n bigint, tags int[], doc jsonb OPTIONS (path ''))
  SERVER broker OPTIONS (topic 'events', event_time 'ts', watermark '10 seconds');
CREATE TABLE pages (page text PRIMARY KEY, section text);
INSERT INTO pages SELECT 'page ' || i, 'section ' || i % 10 FROM generate_series(0, 99) AS i;
CREATE VIEW per_page WITH (streamx.continuous) AS
  SELECT page, count(*), sum(amount) AS sum_amount, avg(amount) AS avg_amount, max(n) AS max_n, max(tags[1]) AS tag FROM events GROUP BY page;
CREATE VIEW per_section WITH (streamx.continuous) AS
  SELECT section, count(*), max(doc->>'page') AS page FROM events JOIN pages USING (page) GROUP BY section;
CREATE VIEW some_rows WITH (streamx.continuous) AS SELECT n, amount FROM events WHERE n % 1000 = 0;
SQL

# The same events over and over, of which some do not decode.
my $lines = 100_000;
open my $out, '>', "$dir/events" or die $!;
foreach my $i (0 .. $lines - 1)
{
	print $out $i % 5000 == 77 ? "not JSON\n" : sprintf
	  qq({"ts": "2026-03-01T00:%02d:%02dZ", "page": "page %d", "amount": %d.%02d, "n": %d, "tags": [%d, 2, 3]}\n),
	  $i / 60 % 60, $i % 60, $i % 100, $i % 1000, $i % 100, $i, $i;
}
close $out or die $!;

my $sent = 0;
sub send_events
{
	my ($n) = @_;

	for (my $i = 0; $i < $n; $i += $lines)
	{
		my $partition = $i / $lines % 4;

		system_or_bail('kcat', '-P', '-b', $bootstrap, '-t', 'events', '-p', $partition, '-l', "$dir/events");
		$sent += $lines;
	}
	$node->caught_up($_, 300) foreach qw(per_page per_section some_rows);
	return;
}

my $good = 1 - 1 / 5000;
send_events($events / 3);
$worker = $node->worker('postgres');
my $third = $node->rss_kb($worker);
my $used = used_kb();
send_events($events / 3);
my $two = $node->rss_kb($worker);
send_events($events / 3);
is(sql('SELECT sum(count) FROM per_page'), $sent * $good, 'all events count');
is(sql('SELECT count(*) FROM streamx.dead_letters'), $sent / 5000, 'and what does not decode is a dead letter');
is($node->worker('postgres'), $worker, 'the worker is the same');
note "$third kB after a third, $two kB after two";
cmp_ok($third, '<', 400_000, 'the worker is not large');
# in contexts: not a bit a row
my $more = used_kb() - $used;
note "contexts: $used kB after a third, $more kB more at the end";
cmp_ok($more, '<=', 200, 'what is allocated in contexts stays the same');
# What threads allocate is malloc's.  How much of it an arena keeps depends on how far
# the queues have filled (32 MB read ahead, as much in a batch, 16 MB in librdkafka), and
# that on the machine; an allocation that is lost with every row would be more than this.
flat($third, 80_000, "$sent events");
# how much of them is filled when one looks varies by some MB; a leak of
# 25 bytes a row would be more than this
flat($two, 16_000, 'the last third of them');
cmp_ok(sql(q(SELECT batches FROM streamx.views WHERE view = 'per_page'::regclass)), '>', $events / 10_000, 'in many batches');

# ---- thousands of small transactions of a native stream

sql(<<'SQL');
CREATE FOREIGN TABLE s (k int, x numeric, t text) SERVER streamx;
CREATE VIEW s_groups WITH (streamx.continuous, streamx.batch_interval = '10 ms') AS
  SELECT k % 10 AS k, count(*), avg(x), max(t) FROM s GROUP BY 1;
CREATE VIEW s_failing WITH (streamx.continuous, streamx.batch_interval = '10 ms') AS
  SELECT count(*), sum(1 / (k % 100)) AS s FROM s;
SQL
my $scripts = 0;
sub transactions
{
	my ($seconds) = @_;

	$node->pgbench("--no-vacuum --client=2 --time=$seconds", 0, [qr/processed/], [qr/^$/], 'inserts',
		{ 'insert' . $scripts++ => "\\set k random(1, 100000)\nINSERT INTO s SELECT :k + i, i / 3.0, repeat('x', i) FROM generate_series(1, 10) AS i;\n" });
	$node->caught_up($_) foreach qw(s_groups s_failing);
	return;
}
sub batches
{
	return sql(q(SELECT batches FROM streamx.views WHERE view = 's_groups'::regclass));
}
transactions(4);
my $before = $node->rss_kb($worker);
my $batches = batches();
for (my $try = 0; batches() < $batches + 150 && $try < 20; $try++)
{
	transactions(4);
}
flat($before, 4_000, 'small batches, rows that fail');
cmp_ok(batches(), '>=', $batches + 150, 'many of them');

# ---- views that come and go

sub come_and_go
{
	my ($times) = @_;

	foreach my $i (1 .. $times)
	{
		sql("CREATE VIEW v WITH (streamx.continuous) AS SELECT k % 7 AS k, count(*), avg(x) FROM s GROUP BY 1; INSERT INTO s VALUES ($i, 1, 'x')");
		$node->caught_up('v');
		sql('DROP VIEW v');
	}
	return;
}
come_and_go(10);
$before = $node->rss_kb($worker);
come_and_go(40);
flat($before, 4_000, 'views that come and go');

is($node->worker('postgres'), $worker, 'the worker is still the same');
$node->log_is_clean;
$node->stop;
done_testing();
