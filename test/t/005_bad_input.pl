
# Bad input: each message that cannot be used is a dead letter with all that
# is known of it, its neighbours count, and nothing crashes.

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
  OPTIONS (bootstrap_servers '$bootstrap', "receive.message.max.bytes" '100000000', "message.max.bytes" '15000000');
CREATE TABLE sent (topic text, partition int, pos bigint, what text, key bytea, payload bytea, sqlstate text);
SQL

# Produces good and bad messages in turn to a topic of one partition.  A case is
# [ what, payload, sqlstate, key ].
my $good = 0;
sub produce_cases
{
	my ($topic, $good_message, @cases) = @_;
	my @messages;
	my $copy = "COPY sent FROM STDIN;\n";
	my $pos = 0;

	foreach my $case (@cases)
	{
		my ($what, $payload, $sqlstate, $key) = @$case;

		push @messages, $good_message->($good++), { value => $payload, key => $key };
		$copy .= join("\t", $topic, 0, 2 * $pos++ + 1, $what,
			defined $key ? '\\\\x' . unpack('H*', $key) : '\\N',
			defined $payload ? '\\\\x' . unpack('H*', $payload) : '\\N', $sqlstate)
		  . "\n";
	}
	push @messages, $good_message->($good++);
	$kafka->produce($topic, 0, @messages);
	sql("$copy\\.\n");
	return scalar(@cases) + 1;
}

# The dead letters of the stream are exactly the bad messages.
sub dead_letters_are
{
	my ($stream, $topic) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->same(
		"SELECT partition, position, key, md5(payload), sqlstate, view IS NULL FROM streamx.dead_letters WHERE stream = '$stream'::regclass",
		"SELECT partition, pos, key, md5(payload), sqlstate, true FROM sent WHERE topic = '$topic'",
		"$topic: dead letters, with position, key, bytes and sqlstate")
	  or diag(
		sql("SELECT what, s.sqlstate AS expected, d.sqlstate, d.error
			FROM (SELECT * FROM sent WHERE topic = '$topic') AS s
			FULL JOIN (SELECT * FROM streamx.dead_letters WHERE stream = '$stream'::regclass) AS d ON s.pos = d.position
			WHERE s.sqlstate IS DISTINCT FROM d.sqlstate OR s.payload IS DISTINCT FROM d.payload OR s.key IS DISTINCT FROM d.key"));
	is( sql("SELECT count(*) FROM streamx.dead_letters WHERE stream = '$stream'::regclass
			AND (error = '' OR arrived IS NULL OR arrived > now())"),
		0, "$topic: all have a reason and the time of their arrival");
	return;
}

# ---- JSON

my $utf8 = '22021';
my $syntax = '22P02';
my $range = '22003';
my @cases = (
	[ 'truncated', '{"n": 1', $syntax ],
	[ 'truncated within a string', '{"n": 1, "t": "abc', $syntax ],
	[ 'empty payload', '', $syntax, 'a key' ],
	[ 'blanks', "  \n ", $syntax ],
	[ 'no JSON', 'garbage', $syntax, "\xff\x00key" ],
	[ 'two documents', '{"n": 1} {"n": 2}', $syntax ],
	[ 'a trailing comma', '{"n": 1,}', $syntax ],
	[ 'no number', '{"n": NaN}', $syntax ],
	[ 'a leading zero', '{"n": 01}', $syntax ],
	[ 'an array', '[1, 2]', $syntax ],
	[ 'a number', '5', $syntax ],
	[ 'null', 'null', $syntax ],
	[ 'bad UTF-8', qq({"n": 1, "t": "\xff"}), $utf8 ],
	[ 'truncated UTF-8', qq({"n": 1, "t": "\xe2\x82"}), $utf8 ],
	[ 'bad UTF-8 in a field that is ignored', qq({"n": 1, "extra": "\xc3-"}), $utf8 ],
	[ 'a surrogate in UTF-8', qq({"n": 1, "t": "\xed\xa0\x80"}), $utf8 ],
	[ 'a NUL byte', qq({"n": 1, "t": "a\x00b"}), $utf8 ],
	[ 'an escaped NUL', '{"n": 1, "t": "a\u0000b"}', '22P05' ],
	[ 'a lone surrogate', '{"n": 1, "t": "\ud800"}', $syntax ],
	[ 'a bare line feed in a string', qq({"n": 1, "t": "a\nb"}), $syntax ],
	[ 'a bad escape', '{"n": 1, "t": "\x"}', $syntax ],
	[ 'smallint out of range', '{"i2": 32768}', $range ],
	[ 'smallint out of range below', '{"i2": -32769}', $range ],
	[ 'int out of range', '{"i4": 2147483648}', $range ],
	[ 'int far out of range', '{"i4": 1e400}', $range ],
	[ 'bigint out of range', '{"n": 9223372036854775808}', $range ],
	[ 'bigint out of range below', '{"n": -9223372036854775809}', $range ],
	[ 'bigint out of range as a string', '{"n": "9223372036854775808"}', $range ],
	[ 'a fraction for an int', '{"i4": 1.5}', $syntax ],
	[ 'a small fraction for an int', '{"i4": 10000000000000001e-16}', $syntax ],
	[ 'text for an int', '{"i4": "abc"}', $syntax ],
	[ 'empty text for an int', '{"i4": ""}', $syntax ],
	[ 'a boolean for an int', '{"i4": true}', $syntax ],
	[ 'an object for an int', '{"i4": {}}', $syntax ],
	[ 'an array for an int', '{"i4": [1]}', $syntax ],
	[ 'float out of range', '{"f8": 1e400}', $range ],
	[ 'real out of range', '{"f4": 1e39}', $range ],
	[ 'numeric out of its precision', '{"x": 1000}', $range ],
	[ 'text too long', '{"v": "abcd"}', '22001' ],
	[ 'no boolean', '{"b": "maybe"}', $syntax ],
	[ 'a number for a boolean', '{"b": 2}', $syntax ],
	[ 'no such month', '{"ts": "2026-13-01"}', '22008' ],
	[ 'no timestamp', '{"ts": "the other day"}', '22007' ],
	[ 'a date out of range', '{"d": "5874898-01-01"}', '22008' ],
	[ 'an epoch out of range', '{"ep": 1e30}', '22008' ],
	[ 'no uuid', '{"u": "12345"}', $syntax ],
	[ 'no inet', '{"ip": "1.2.3.400"}', $syntax ],
	[ 'no range', '{"r": "[5,1)"}', '22000' ],
	[ 'no array', '{"a": 5}', $syntax ],
	[ 'an array of other things', '{"a": [1, "x"]}', $syntax ],
	[ 'an uneven array', '{"a": [[1], [2, 3]]}', $syntax ],
	[ 'no bytea', '{"by": "\\\\xzz"}', '22023' ],
	[ 'too deep', '{"j": ' . '[' x 100_000 . ']' x 100_000 . '}', '54001' ],
	[ 'too deep in a field that is ignored', '{"extra": ' . '{"a":' x 100_000 . '1' . '}' x 100_000 . '}', '54001' ],
	[ 'too deep and not closed', '{"j": ' . '[' x 1_000_000, '54001' ],
	[ 'a bad key', '{"n": 1}', $utf8, "\xff\xfe" ],
);

$kafka->create_topic('bad', 1);
my $n = produce_cases('bad', sub { qq({"n": $_[0], "t": "good"}) }, @cases);
sql(<<'SQL');
CREATE FOREIGN TABLE bad (n bigint, t text, i2 smallint, i4 int, f4 real, f8 float8, x numeric(5,2), v varchar(3), b boolean,
  ts timestamptz, d date, ep timestamptz OPTIONS (epoch 'us'), u uuid, ip inet, r int4range, a int[], by bytea, j jsonb,
  k text OPTIONS (metadata 'key'), pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'bad');
CREATE VIEW bad_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM bad;
CREATE VIEW bad_rows WITH (streamx.continuous) AS SELECT pos, n, t FROM bad;
SQL
$node->caught_up($_) foreach qw(bad_total bad_rows);
is(sql('SELECT count FROM bad_total'), $n, 'the neighbours of bad messages count');
is(sql("SELECT count(*), bool_and(pos % 2 = 0 AND t = 'good') FROM bad_rows"),
	"$n|t", '... each of them, once');
dead_letters_are('bad', 'bad');
is(sql(q(SELECT sum(dead_letters) FROM streamx.views WHERE view = 'bad_total'::regclass)),
	scalar(@cases), 'streamx.views counts them');
ok($node->error('SELECT count(*) FROM bad') !~ /terminat/, 'SELECT of bad messages does not crash');

# a view that comes later does not keep them again
sql('CREATE VIEW bad_later WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM bad');
$node->caught_up('bad_later');
$node->same('TABLE bad_later', 'TABLE bad_total', 'a view created later counts the same');
dead_letters_are('bad', 'bad');

# ---- large messages

$kafka->create_topic('large', 1);
$kafka->produce('large', 0, '{"n": 1}',
	'{"n": 2, "t": "' . 'x' x 10_000_000 . '"}',
	'{"n": 3, "t": "' . 'y' x 10_000_000,
	{ value => "\xff" x 10_000_000, key => 'k' }, '{"n": 4}');
sql(<<'SQL');
CREATE FOREIGN TABLE large (n int, t text) SERVER broker OPTIONS (topic 'large');
CREATE VIEW large_rows WITH (streamx.continuous) AS SELECT n, length(t), md5(t) FROM large;
SQL
$node->caught_up('large_rows');
is(sql('SELECT * FROM large_rows ORDER BY n'),
	"1||\n2|10000000|" . sql("SELECT md5(repeat('x', 10000000))") . "\n4||",
	'a valid message of 10 MB is a row');
is(sql(q(SELECT position, key, length(payload), md5(payload) FROM streamx.dead_letters WHERE stream = 'large'::regclass ORDER BY position)),
	'2||10000015|' . sql(q(SELECT md5('{"n": 3, "t": "' || repeat('y', 10000000)))) . "\n"
	  . '3|\x6b|10000000|' . sql(q(SELECT md5(decode(repeat('ff', 10000000), 'hex')))),
	'invalid ones are dead letters, with all their bytes');

# ---- the other formats

$kafka->create_topic($_, 1) foreach qw(csv text raw);
my $csv = produce_cases('csv', sub { "$_[0],good" },
	[ 'a field too many', '1,a,b', '22P04' ],
	[ 'a field too few', '1', '22P04' ],
	[ 'an open quote', '1,"a', '22P04' ],
	[ 'no number', 'x,a', $syntax ],
	[ 'a number out of range', '99999999999,a', $range ],
	[ 'bad UTF-8', "1,\xff", $utf8 ],
	[ 'a NUL byte', "1,a\x00", $utf8 ],
	[ 'empty payload', '', $syntax ]);
my $text = produce_cases('text', sub { "good $_[0]" },
	[ 'bad UTF-8', "a\xff", $utf8 ],
	[ 'a NUL byte', "a\x00b", $utf8 ],
	[ 'empty payload', '', $syntax ]);
my $raw = produce_cases('raw', sub { "good $_[0]" },
	[ 'empty payload', '', $syntax ]);
sql(<<'SQL');
CREATE FOREIGN TABLE csv (n int, t text) SERVER broker OPTIONS (topic 'csv', format 'csv');
CREATE FOREIGN TABLE text (t text) SERVER broker OPTIONS (topic 'text', format 'text');
CREATE FOREIGN TABLE raw (t bytea) SERVER broker OPTIONS (topic 'raw', format 'raw');
CREATE VIEW csv_total WITH (streamx.continuous) AS SELECT count(*), count(*) FILTER (WHERE t LIKE 'good%') AS good FROM csv;
CREATE VIEW text_total WITH (streamx.continuous) AS SELECT count(*), count(*) FILTER (WHERE t LIKE 'good%') AS good FROM text;
CREATE VIEW raw_total WITH (streamx.continuous) AS SELECT count(*), count(*) FILTER (WHERE t LIKE 'good%'::bytea) AS good FROM raw;
SQL
my %expected = (csv => $csv, text => $text, raw => $raw);
foreach my $format (qw(csv text raw))
{
	$node->caught_up("${format}_total");
	is(sql("TABLE ${format}_total"), "$expected{$format}|$expected{$format}", "$format: the neighbours count");
	dead_letters_are($format, $format);
}

# ---- on_error

$kafka->create_topic($_, 1) foreach qw(skip stop);
$kafka->produce($_, 0, '{"n": 1}', '{"n": x}', '{"n": 3}') foreach qw(skip stop);
sql(<<'SQL');
CREATE FOREIGN TABLE skip (n int) SERVER broker OPTIONS (topic 'skip', on_error 'skip');
CREATE FOREIGN TABLE stop (n int) SERVER broker OPTIONS (topic 'stop', on_error 'stop');
CREATE VIEW skip_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM skip;
CREATE VIEW stop_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM stop;
SQL
$node->caught_up('skip_total');
is(sql('TABLE skip_total'), '2|4', 'on_error skip: the neighbours count');
is(sql(q(SELECT count(*) FROM streamx.dead_letters WHERE stream = 'skip'::regclass)),
	0, '... and nothing is kept');
ok($node->wait_until(q(SELECT state = 'stopped' FROM streamx.views WHERE view = 'stop_total'::regclass)),
	'on_error stop: the view stops');
like(sql(q(SELECT error FROM streamx.views WHERE view = 'stop_total'::regclass)),
	qr/partition 0, offset 1 of stream "public.stop": invalid JSON/, '... and says where');
like($node->error(q(SELECT streamx.wait('stop_total', '5 s'))), qr/stopped/, '... waiting for it is an error');
$node->restart;
is(sql(q(SELECT state FROM streamx.views WHERE view = 'stop_total'::regclass)),
	'stopped', '... which a restart does not change');
sql(q(SELECT streamx.resume('stop_total')));
ok($node->wait_until(q(SELECT state = 'stopped' FROM streamx.views WHERE view = 'stop_total'::regclass)),
	'resumed without a cure, it stops again');
sql(q(ALTER FOREIGN TABLE stop OPTIONS (SET on_error 'dead_letter'); SELECT streamx.resume('stop_total')));
$node->caught_up('stop_total');
is(sql('TABLE stop_total'), '2|4', 'resumed with on_error dead_letter, it goes on where it stopped');
is(sql(q(SELECT position FROM streamx.dead_letters WHERE stream = 'stop'::regclass)), 1, '... with a dead letter');

# ---- rows that fail in a view's expression

$kafka->create_topic('values', 2);
$kafka->produce('values', 0, map { { partition => $_ % 2, value => qq({"g": "g@{[$_ % 3]}", "x": @{[$_ % 10 == 7 ? 0 : 1]}, "f": 1, "n": $_}) } } 0 .. 999);
$kafka->produce('values', 0, '{"g": "huge", "x": 1, "f": 1e308, "n": 1000}', '{"g": "huge", "x": 1, "f": 1.1e308, "n": 1001}',
	'{"g": "huge", "x": 1, "f": 1, "n": 1002}', '{"g": "refused", "x": 1, "f": 1, "n": 1003}', '{"g": "last", "x": 1, "f": 1, "n": 1004}');
sql(<<'SQL');
CREATE FOREIGN TABLE values_ (g text, x int, f float8, n int, pos bigint OPTIONS (metadata 'offset'), part int OPTIONS (metadata 'partition'))
  SERVER broker OPTIONS (topic 'values');
CREATE VIEW quotient WITH (streamx.continuous) AS SELECT g, count(*), sum(1 / x) AS s FROM values_ GROUP BY g;
CREATE VIEW quotients WITH (streamx.continuous) AS SELECT n, 1 / x AS q FROM values_;
CREATE VIEW sums WITH (streamx.continuous) AS SELECT g, count(*), sum(f) FROM values_ GROUP BY g;
CREATE VIEW counted WITH (streamx.continuous) AS SELECT g, count(*) FROM values_ GROUP BY g;
ALTER TABLE counted ADD CHECK (g <> 'refused');
SQL
$node->caught_up($_) foreach qw(quotient quotients sums counted);
$node->same('SELECT g, count, s FROM quotient', 'SELECT g, count(*), count(*) FROM values_ WHERE x <> 0 GROUP BY g',
	'rows that fail in a view do not count in it');
$node->same('SELECT n, q FROM quotients', 'SELECT n, 1 FROM values_ WHERE x <> 0', '... nor in a view of rows');
foreach my $view (qw(quotient quotients))
{
	$node->same(qq(SELECT partition, position, sqlstate, convert_from(payload, 'UTF8')::jsonb->>'n' FROM streamx.dead_letters WHERE view = '$view'::regclass),
		q(SELECT part, pos, '22012'::text, n::text FROM values_ WHERE x = 0), "... they are dead letters of $view");
}
is(sql(q(SELECT position - (SELECT min(pos) FROM values_ WHERE g = 'huge'), sqlstate FROM streamx.dead_letters WHERE view = 'sums'::regclass)),
	'1|22003', 'a row that overflows its aggregate is a dead letter');
is(sql(q(SELECT count FROM sums WHERE g = 'huge')), 2, '... its neighbours in the group count');
is(sql(q(SELECT count FROM sums WHERE g = 'last')), 1, '... and those behind it');
is(sql(q(SELECT count(*), sum(count) FROM counted)), '5|1004', 'a CHECK of the result sheds the rows of that group');
is(sql(q(SELECT count(*), min(sqlstate) FROM streamx.dead_letters WHERE view = 'counted'::regclass)), '1|23514', '... they are dead letters');

# ---- event times

$kafka->create_topic('times', 1);
my ($ahead, $now) = split /\|/, sql(q(SELECT to_json(now() + interval '2 days') #>> '{}', to_json(now()) #>> '{}'));
$kafka->produce('times', 0, qq({"ts": "$now"}), qq({"ts": "$ahead"}), '{"ts": null}', '{"ts": "infinity"}', '{}',
	'{"ts": "-infinity"}', qq({"ts": "$now"}));
sql(<<'SQL');
CREATE FOREIGN TABLE times (ts timestamptz, pos bigint OPTIONS (metadata 'offset'))
  SERVER broker OPTIONS (topic 'times', event_time 'ts', watermark '0');
CREATE FOREIGN TABLE times_open (ts timestamptz) SERVER broker OPTIONS (topic 'times', event_time 'ts', watermark '0', max_ahead '10 days');
CREATE VIEW windows WITH (streamx.continuous) AS SELECT tumble(ts, '1 day') AS day, count(*) FROM times GROUP BY day;
CREATE VIEW all_of_them WITH (streamx.continuous) AS SELECT count(*) FROM times;
CREATE VIEW open_windows WITH (streamx.continuous) AS SELECT tumble(ts, '1 day') AS day, count(*) FROM times_open GROUP BY day;
SQL
$node->caught_up($_) foreach qw(windows all_of_them open_windows);
is(sql('SELECT sum(count) FROM windows'), 2, 'windows count rows with an event time');
is(sql('SELECT count FROM all_of_them'), 6, 'a view without windows counts those without one');
is(sql(q(SELECT string_agg(position || coalesce(' ' || view, ''), ', ' ORDER BY position, view::text) FROM streamx.dead_letters WHERE stream = 'times'::regclass)),
	'1, 2 windows, 3 windows, 4 windows, 5 windows', 'dead letters: too far ahead, and what no window takes');
is(sql(qq(SELECT watermark = '$now' FROM streamx.progress WHERE view = 'windows'::regclass)), 't',
	'none of them moves the watermark');
is(sql('SELECT sum(count) FROM open_windows'), 3, 'max_ahead moves the bound');

# ---- the server is well

is(sql(q(SELECT count(*) FROM streamx.views WHERE state <> 'running')), 0, 'all views are running');
$kafka->produce('bad', 0, '{"n": 1000000}');
$node->caught_up('bad_total');
is(sql('SELECT count FROM bad_total'), $n + 1, 'they go on');
$node->log_is_clean;
$node->stop;
done_testing();
