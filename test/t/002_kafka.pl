
# A Kafka topic becomes a table: views, bounded SELECT and INSERT over a real
# broker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $bootstrap = $kafka->bootstrap;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sql(<<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap');
-- what was produced, kept apart from anything that streamx does
CREATE TABLE produced (topic text, partition int, doc jsonb);
SQL

my $events = $ENV{STREAMX_TEST_EVENTS} ? int($ENV{STREAMX_TEST_EVENTS} / 40) : 25_000;
my $next = 0;
my $partitions = 3;

srand(1);

# So many events to the topic clicks, and into the table of what was produced.
sub clicks
{
	my ($n) = @_;
	my @messages;
	my $copy = "COPY produced FROM STDIN;\n";

	foreach my $i ($next .. $next + $n - 1)
	{
		my $partition = int(rand($partitions));
		my $doc = sprintf
		  '{"ts": "2026-03-01T%02d:%02d:%02d.%03dZ", "page": "/p/%d", "amount": %d.%02d, "f": %.3f, "n": %d}',
		  ($i / 36000) % 24, ($i / 600) % 60, ($i / 10) % 60, $i % 1000, rand(50), rand(1000), rand(100),
		  rand(100) - 50, $i;

		push @messages, { partition => $partition, value => $doc };
		$copy .= "clicks\t$partition\t$doc\n";
	}
	$next += $n;
	$kafka->produce('clicks', 0, @messages);
	sql("$copy\\.\n");
	return;
}

my $columns = q(minute, page, count, sum_amount, avg_amount, round(sum_f::numeric, 6), min_n, max_n);
my $query = q(SELECT tumble(ts, '1 minute') AS minute, page, count(*), sum(amount) AS sum_amount,
	avg(amount) AS avg_amount, sum(f) AS sum_f, min(n) AS min_n, max(n) AS max_n);
my $produced = q((SELECT (doc->>'ts')::timestamptz AS ts, doc->>'page' AS page,
	(doc->>'amount')::numeric AS amount, (doc->>'f')::float8 AS f, (doc->>'n')::bigint AS n
	FROM produced WHERE topic = 'clicks') AS p);

# The view equals the batch query over the stream, and over what was produced.
sub exact
{
	my ($view, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->caught_up($view);
	$node->same("SELECT $columns FROM $view",
		"SELECT $columns FROM ($query FROM clicks GROUP BY 1, 2) AS q",
		"$what: equals the query over the stream");
	$node->same("SELECT $columns FROM $view",
		"SELECT $columns FROM ($query FROM $produced GROUP BY 1, 2) AS q",
		"$what: equals a recount");
	return;
}

# ---- topic -> view

$kafka->create_topic('clicks', $partitions);
clicks($events);
sql(<<"SQL");
CREATE FOREIGN TABLE clicks (ts timestamptz, page text, amount numeric, f double precision, n bigint)
  SERVER broker OPTIONS (topic 'clicks', format 'json', event_time 'ts', watermark '1 hour');
CREATE VIEW first_view WITH (streamx.continuous) AS $query FROM clicks GROUP BY minute, page;
SQL
exact('first_view', 'what was there');
clicks(1000);
exact('first_view', 'what came later');
is(sql('SELECT count(*) FROM clicks'), $next, 'bounded SELECT sees all');

# ---- a view created later

sql("CREATE MATERIALIZED VIEW second_view WITH (streamx.continuous) AS $query FROM clicks GROUP BY minute, page");
clicks(1000);
exact('second_view', 'a view created later, from the beginning');
ok( $node->wait_until(
		q(SELECT count(*) = 2 AND bool_and(state = 'running') FROM streamx.views WHERE view::text IN ('first_view', 'second_view'))
	),
	'both are running');
my $different = 0;
foreach my $i (1 .. 10)
{
	clicks(200);
	foreach my $j (1 .. 5)
	{
		$different++
		  if sql(q(SELECT (SELECT (count(*), sum(count), sum(sum_amount)) FROM first_view)
				IS DISTINCT FROM (SELECT (count(*), sum(count), sum(sum_amount)) FROM second_view))) ne 'f';
	}
}
is($different, 0, 'one snapshot sees both at the same point of the stream');
exact('first_view', 'the first of them');
exact('second_view', 'the second of them');

# ---- partitions added later

$kafka->add_partitions('clicks', 5);
$partitions = 5;
clicks(2000);
exact('first_view', 'partitions added later');
is( sql(q(SELECT string_agg(partition::text, ',' ORDER BY partition) FROM streamx.progress WHERE view = 'first_view'::regclass)),
	'0,1,2,3,4',
	'progress of each partition');

# ---- after a restart

clicks(500);
$node->restart;
clicks(500);
exact('second_view', 'after a restart');

# ---- start

$kafka->create_topic('times', 2);
$kafka->produce('times', 0, map { { partition => $_ % 2, timestamp => 1_767_225_600_000 + 1000 * $_, value => qq({"n": $_}) } } 0 .. 99);
sql(<<'SQL');
CREATE FOREIGN TABLE times (n int, at timestamptz OPTIONS (metadata 'timestamp'))
  SERVER broker OPTIONS (topic 'times');
CREATE FOREIGN TABLE times_from_30 (n int) SERVER broker OPTIONS (topic 'times', start '2026-01-01 00:00:30+00');
CREATE FOREIGN TABLE times_latest (n int) SERVER broker OPTIONS (topic 'times', start 'latest');
CREATE VIEW t_earliest WITH (streamx.continuous) AS SELECT count(*), min(n), max(n) FROM times;
CREATE VIEW t_from_60 WITH (streamx.continuous, streamx.start = '2026-01-01 00:01:00+00') AS
  SELECT count(*), min(n), max(n) FROM times;
CREATE VIEW t_latest WITH (streamx.continuous, streamx.start = 'latest') AS SELECT count(*), min(n), max(n) FROM times;
CREATE VIEW t_stream_30 WITH (streamx.continuous) AS SELECT count(*), min(n), max(n) FROM times_from_30;
CREATE VIEW t_stream_latest WITH (streamx.continuous) AS SELECT count(*), min(n), max(n) FROM times_latest;
CREATE VIEW t_stream_latest_all WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT count(*), min(n), max(n) FROM times_latest;
SQL
my @t = qw(t_earliest t_from_60 t_latest t_stream_30 t_stream_latest t_stream_latest_all);
$node->caught_up($_) foreach @t;
is(sql('TABLE t_earliest'), '100|0|99', 'start: earliest is the default');
is(sql('TABLE t_from_60'), '40|60|99', 'start: a timestamp, of the view');
is(sql('TABLE t_stream_30'), '70|30|99', 'start: a timestamp, of the stream');
is(sql('TABLE t_latest'), '0||', 'start: latest, of the view');
is(sql('TABLE t_stream_latest'), '0||', 'start: latest, of the stream');
is(sql('TABLE t_stream_latest_all'), '100|0|99', 'start: the view\'s before the stream\'s');
# what began at the end begins there for good
$node->restart;
$kafka->produce('times', 0, map { { partition => $_ % 2, value => qq({"n": $_}) } } 100 .. 109);
$node->caught_up($_) foreach @t;
is(sql('TABLE t_earliest'), '110|0|109', 'earliest goes on');
is(sql('TABLE t_from_60'), '50|60|109', 'a timestamp goes on');
is(sql('TABLE t_latest'), '10|100|109', 'latest goes on from its start, of the view');
is(sql('TABLE t_stream_latest'), '10|100|109', '... of the stream');

# ---- transactions

$kafka->create_topic('tx', 2);
$kafka->commit('tx', 0, map { qq({"n": $_}) } 1 .. 10);
$kafka->abort('tx', 0, map { qq({"n": $_}) } 11 .. 20);
$kafka->commit('tx', 1, map { qq({"n": $_}) } 21 .. 30);
$kafka->abort('tx', 1, '{"n": 31}');
sql(<<'SQL');
CREATE FOREIGN TABLE tx (n int, part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'tx');
CREATE FOREIGN TABLE tx_all (n int) SERVER broker OPTIONS (topic 'tx', isolation 'read_uncommitted');
CREATE VIEW tx_view WITH (streamx.continuous) AS SELECT part, count(*), sum(n) FROM tx GROUP BY part;
CREATE VIEW tx_all_view WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM tx_all;
SQL
$node->caught_up('tx_view');
$node->caught_up('tx_all_view');
is(sql('SELECT count(*), sum(n) FROM tx'), '20|310',
	'a topic that ends in transaction markers: SELECT ends, without what was aborted');
is(sql('SELECT * FROM tx_view ORDER BY part'), "0|10|55\n1|10|255", '... and so does the view');
is(sql('SELECT count(*), sum(n) FROM tx_all'), '31|496', 'read_uncommitted: SELECT has it');
is(sql('TABLE tx_all_view'), '31|496', '... and so does the view');
is( sql(q(SELECT string_agg(next_offset::text, ',' ORDER BY partition) FROM streamx.progress WHERE view = 'tx_view'::regclass)),
	join(',', map { $_->[2] } sort { $a->[0] <=> $b->[0] } $kafka->offsets('tx')),
	'progress goes to the end, markers included');

my $open = $kafka->begin('tx', 0, map { qq({"n": $_}) } 100 .. 104);
$kafka->commit('tx', 0, '{"n": 40}');
is(sql('SELECT count(*), sum(n) FROM tx'), '20|310', 'an open transaction: SELECT ends before it');
$open->rollback;
$node->caught_up('tx_view');
is(sql('SELECT * FROM tx_view WHERE part = 0'), '0|11|95', 'when it is aborted, the view goes on behind it');
is(sql('SELECT count(*), sum(n) FROM tx'), '21|350', '... and SELECT');

# ---- conditions on partition, offset, timestamp

$kafka->create_topic('where', 3);
$kafka->produce('where', 0, map { { partition => $_ % 3, timestamp => 1_767_225_600_000 + 1000 * $_, value => qq({"n": $_}) } } 0 .. 299);
sql(<<'SQL');
CREATE FOREIGN TABLE w (n int, part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'),
  at timestamptz OPTIONS (metadata 'timestamp')) SERVER broker OPTIONS (topic 'where');
CREATE TABLE w_expected AS SELECT n, n % 3 AS part, (n / 3)::bigint AS pos,
  timestamptz '2026-01-01 00:00+00' + n * interval '1 second' AS at FROM generate_series(0, 299) AS n;
SQL
foreach my $condition (
	'part = 1', 'part IN (0, 2)', 'part = ANY (ARRAY[1, 7, NULL])', 'part < 0', 'part <> 1',
	'pos = 5', 'pos BETWEEN 10 AND 19', 'pos < 3', 'pos >= 98', 'pos > 1000', '17 <= pos AND pos <= 20 AND part = 2',
	'pos = (SELECT 4)', 'pos = ANY (ARRAY[0, 50, 99])', 'pos < 10 OR part = 1',
	q(at >= '2026-01-01 00:04:00+00'), q(at < '2026-01-01 00:00:10+00'),
	q(at BETWEEN '2026-01-01 00:01:00+00' AND '2026-01-01 00:01:10+00' AND part = 0),
	q(at >= '2030-01-01'), 'pos = n / 3 AND part = n % 3', 'n < 5', 'pos IS NULL', 'pos > NULL',
	'pos = 9223372036854775807', 'pos > -9223372036854775808 AND part > -2147483648')
{
	$node->same("SELECT * FROM w WHERE $condition",
		"SELECT * FROM w_expected WHERE $condition", "WHERE $condition");
}
is(sql('SELECT n FROM w WHERE part = 0 ORDER BY pos LIMIT 3'), "0\n3\n6", 'ORDER BY, LIMIT');
is(sql('SELECT count(*) FROM w AS a JOIN w AS b USING (part, pos)'), 300, 'a join with itself');
is(sql('PREPARE p(int) AS SELECT count(*) FROM w WHERE part = $1 AND pos < 7; EXECUTE p(0); EXECUTE p(5)'),
	"7\n0", 'parameters');

# ---- partitions that begin one after the other

$kafka->create_topic('skewed', 3);
sub hour_of
{
	my ($partition) = @_;

	$kafka->produce('skewed', $partition,
		map { sprintf '{"ts": "2026-03-01T00:%02d:%02dZ", "n": %d}', $_ / 60, $_ % 60, $_ } 1 .. 3000);
	return;
}
hour_of(0);
sql(<<'SQL');
CREATE FOREIGN TABLE skewed (ts timestamptz, n int) SERVER broker
  OPTIONS (topic 'skewed', event_time 'ts', watermark '1 second', idle_timeout '1 hour');
CREATE VIEW skewed_minutes WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, count(*), sum(n) FROM skewed GROUP BY minute;
SQL
foreach my $partition (1 .. 2)
{
	$node->caught_up('skewed_minutes');
	is(sql(q(SELECT watermark FROM streamx.views WHERE view = 'skewed_minutes'::regclass)),
		'', "partition $partition, from which nothing has come yet, holds the watermark back");
	$node->restart if $partition == 2;
	hour_of($partition);
}
$node->caught_up('skewed_minutes');
$node->same('TABLE skewed_minutes', q(SELECT tumble(ts, '1 minute'), count(*), sum(n) FROM skewed GROUP BY 1),
	'... so that its rows are not late');
is(sql(q(SELECT rows_late, watermark FROM streamx.views WHERE view = 'skewed_minutes'::regclass)),
	'0|2026-03-01 00:49:59+00', '... and then goes on');

# ---- INSERT

$kafka->create_topic('out', 2);
sql(<<'SQL');
CREATE FOREIGN TABLE out (id int, t text, x numeric, a int[], j jsonb, at timestamptz, nothing text,
  k text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'))
  SERVER broker OPTIONS (topic 'out', format 'json');
CREATE VIEW out_view WITH (streamx.continuous) AS SELECT id, t, x, a, j, at, nothing, k, part FROM out;
CREATE TABLE out_expected (LIKE out_view);
INSERT INTO out_expected SELECT i, 'text "' || i || E'" \\ \n ü', i / 7::numeric, ARRAY[i, NULL, -i],
  jsonb_build_object('i', i, 'n', NULL), timestamptz '2026-01-01' + i * interval '1 us', NULL, 'key ' || i % 5, i % 2
  FROM generate_series(1, 1000) AS i;
INSERT INTO out SELECT * FROM out_expected;
SQL
$node->caught_up('out_view');
$node->same('TABLE out_view', 'TABLE out_expected', 'INSERT comes back through the view');
$node->same('TABLE out', 'TABLE out_expected', '... and through SELECT');
my @got = $kafka->consume('out');
is(scalar(@got), 1000, 'a broker\'s other clients see the messages');
is((grep { $_->{key} !~ /^key [0-4]$/ || $_->{value} !~ /^\{"id":/ } @got), 0, '... with keys and payloads');

# ---- what a message carries besides

$kafka->create_topic('meta', 2);
$kafka->produce('meta', 1,
	{ key => 'k1', value => '{"a": 1}', timestamp => 1_767_225_600_123, headers => [ 'trace', 'abc', 'x', undef ] },
	{ value => '{"a": 2}', timestamp => 1_767_225_601_000 },
	{ key => 'gone', value => undef, timestamp => 1_767_225_602_000 },
	{ key => '', value => '{}', timestamp => 1_767_225_603_000 });
sql(<<'SQL');
CREATE FOREIGN TABLE meta (a int, k text OPTIONS (metadata 'key'), kb bytea OPTIONS (metadata 'key'),
  h jsonb OPTIONS (metadata 'headers'), part int OPTIONS (metadata 'partition'),
  pos bigint OPTIONS (metadata 'offset'), at timestamptz OPTIONS (metadata 'timestamp'),
  arrived timestamptz OPTIONS (metadata 'arrival_time'))
  SERVER broker OPTIONS (topic 'meta');
CREATE VIEW meta_view WITH (streamx.continuous) AS
  SELECT a, k, kb, h, part, pos, at, arrived FROM meta;
SQL
$node->caught_up('meta_view');
is(sql(q(SELECT a, k, kb, h, part, pos, at, abs(extract(epoch FROM now() - arrived)) < 600 FROM meta_view ORDER BY pos)), <<'OUT' =~ s/\n$//r, 'metadata columns and a tombstone');
1|k1|\x6b31|{"x": null, "trace": "abc"}|1|0|2026-01-01 00:00:00.123+00|t
2||||1|1|2026-01-01 00:00:01+00|t
|gone|\x676f6e65||1|2|2026-01-01 00:00:02+00|t
||\x||1|3|2026-01-01 00:00:03+00|t
OUT
is(sql('SELECT count(*) FROM streamx.dead_letters'), 0, 'no dead letters so far');

# ---- paths, epochs, types

$kafka->create_topic('json', 1);
$kafka->produce('json', 0,
	'{"geo": {"city": "Ulm", "pos": {"lat": 48.4}}, "s": 1767225600.5, "ms": 1767225600500, "us": 1767225600500001,'
	  . ' "i2": -32768, "i8": 9223372036854775807, "f4": 1.5, "n": 12345678901234567890.123456789, "b": true,'
	  . ' "t": "tab\tquote\" \u00e9\ud83d\ude00", "d": "2026-02-28", "ts": "2026-01-01 01:00:00", "tz": "2026-01-01T01:00:00+02:00",'
	  . ' "iv": "1 day 2 hours", "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ip": "10.1.2.3/8", "ai": [1, 2.0, null],'
	  . ' "at": [["a", "b"], ["c", null]], "j": {"z": [1, {"y": null}]}, "r": "[1,5)", "by": "\\\\x0aff", "whole": 1e3, "dup": 1, "dup": 2,'
	  . ' "extra": {"ignored": []}, "obj": {"k": 1}, "arr": [1, "x"], "num": 1.50, "yes": true}',
	'{"geo": {"city": null}, "geo2": 1}',
	'{"geo": "not an object"}');
sql(<<'SQL');
CREATE FOREIGN TABLE types (
  doc json OPTIONS (path ''), city text OPTIONS (path 'geo.city'), lat float8 OPTIONS (path 'geo.pos.lat'),
  s timestamptz OPTIONS (epoch 's'), ms timestamptz OPTIONS (epoch 'ms'), us timestamptz OPTIONS (epoch 'us'),
  i2 smallint, i8 bigint, f4 real, n numeric, n2 numeric(30,2) OPTIONS (path 'n'), b boolean, t text, d date, ts timestamp, tz timestamptz,
  iv interval, u uuid, ip inet, ai int[], "at" text[], j jsonb, r int4range, by bytea, whole int, dup int,
  obj text, arr text, num text, yes text, v varchar(3) OPTIONS (path 'geo.city'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'json');
CREATE VIEW types_view WITH (streamx.continuous) AS SELECT * FROM types;
SQL
$node->caught_up('types_view');
is(sql(q(SELECT city, lat, s, ms, us, i2, i8, f4, n, n2, b, t, d, ts, tz, iv, u, ip, ai, "at", j, r, by, whole, dup, obj, arr, num, yes, v
	FROM types_view WHERE pos = 0)),
	"Ulm|48.4|2026-01-01 00:00:00.5+00|2026-01-01 00:00:00.5+00|2026-01-01 00:00:00.500001+00|-32768|9223372036854775807|1.5"
	  . '|12345678901234567890.123456789|12345678901234567890.12|t|' . "tab\tquote\" \xc3\xa9\xf0\x9f\x98\x80"
	  . '|2026-02-28|2026-01-01 01:00:00|2025-12-31 23:00:00+00|1 day 02:00:00|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|10.1.2.3/8'
	  . '|{1,2,NULL}|{{a,b},{c,NULL}}|{"z": [1, {"y": null}]}|[1,5)|\x0aff|1000|2|{"k": 1}|[1, "x"]|1.50|true|Ulm',
	'types of JSON');
is(sql(q(SELECT count(*), count(city), count(lat), count(doc), count(i8) FROM types_view WHERE pos > 0)),
	'2|0|0|2|0', 'missing fields are NULL');
$node->same('SELECT doc::text, city, s, i8, n, t, ai, "at", j, v, pos FROM types',
	'SELECT doc::text, city, s, i8, n, t, ai, "at", j, v, pos FROM types_view', 'SELECT decodes alike');

# ---- the other formats

$kafka->create_topic($_, 1) foreach qw(csv text raw);
$kafka->produce('csv', 0, '1,one,1.5', '2,"two, ""quoted""",', '3,,-7', qq(4,"a\nb",0), "5,crlf,2\r\n");
$kafka->produce('text', 0, 'a line', 'tab	and \\ backslash', "\xc3\xbc");
$kafka->produce('raw', 0, "\x00\x01\xff", 'plain');
sql(<<'SQL');
CREATE FOREIGN TABLE c (id int, t text, x numeric) SERVER broker OPTIONS (topic 'csv', format 'csv');
CREATE FOREIGN TABLE t (line text) SERVER broker OPTIONS (topic 'text', format 'text');
CREATE FOREIGN TABLE r (b bytea, pos bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 'raw', format 'raw');
CREATE VIEW c_view WITH (streamx.continuous) AS SELECT id, t, x FROM c;
CREATE VIEW t_view WITH (streamx.continuous) AS SELECT line FROM t;
CREATE VIEW r_view WITH (streamx.continuous) AS SELECT b, pos FROM r;
SQL
$node->caught_up($_) foreach qw(c_view t_view r_view);
is(sql(q(SELECT id, replace(coalesce(t, '<NULL>'), E'\n', '<nl>'), x FROM c_view ORDER BY id)),
	qq(1|one|1.5\n2|two, "quoted"|\n3|<NULL>|-7\n4|a<nl>b|0\n5|crlf|2), 'csv');
is(sql('SELECT line FROM t_view ORDER BY line'), "a line\ntab\tand \\ backslash\n\xc3\xbc", 'text');
is(sql('SELECT b FROM r_view ORDER BY pos'), "\\x0001ff\n\\x706c61696e", 'raw');
is(sql('SELECT count(*) FROM streamx.dead_letters'), 0, 'no dead letters');

$node->log_is_clean;
$node->stop;
done_testing();
