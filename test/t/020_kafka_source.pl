
# Kafka streams: what is read where, through transactions, new partitions,
# outages, lost offsets and large messages; and what INSERT writes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxKafka;
use Test::More;

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'streamx'
max_worker_processes = 16
CONF
$node->start;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION streamx;
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers '$bootstrap');
SQL

# A stream of single words over a topic, and a view that counts them.
sub make_stream
{
	my ($topic, %options) = @_;
	my $options = join ', ', "topic '$topic'", "format 'csv'",
	  map { "$_ '$options{$_}'" } sort keys %options;

	$node->safe_psql('postgres', <<"SQL");
CREATE FOREIGN TABLE $topic (
  word text,
  part int OPTIONS (metadata 'partition'),
  pos bigint OPTIONS (metadata 'offset')
) SERVER broker OPTIONS ($options);
CREATE VIEW ${topic}_words WITH (streamx.continuous) AS
  SELECT word, count(*) FROM $topic GROUP BY word;
SQL
	return;
}

sub all_words
{
	my ($relation) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(string_agg(word, ' ' ORDER BY word), '') FROM $relation");
}

# The view comes to hold exactly these words, each of them once.
sub view_holds
{
	my ($topic, $words, $name) = @_;
	my $query = "SELECT coalesce(string_agg(word, ' ' ORDER BY word), '')"
	  . " FROM ${topic}_words, generate_series(1, count)";

	ok($node->poll_query_until('postgres', $query, $words), $name)
	  or diag 'it holds: ' . $node->safe_psql('postgres', $query);
	return;
}

# The view's progress comes to these next offsets, in order of partitions.
sub progress_is
{
	my ($topic, $offsets, $name) = @_;
	my $query = 'SELECT string_agg(next_offset::text, \' \' ORDER BY partition)'
	  . " FROM streamx.progress WHERE view = '${topic}_words'::regclass";

	ok($node->poll_query_until('postgres', $query, $offsets), $name)
	  or diag 'it is: ' . $node->safe_psql('postgres', $query);
	return;
}

# ---- transactions and what they leave behind

$kafka->create_topic('tx', 2);
$kafka->produce('tx', 0, 'a', 'b');
$kafka->abort('tx', 0, 'x', 'y');
$kafka->commit('tx', 0, 'c');
$kafka->abort('tx', 0, 'z');
make_stream('tx');

is(all_words('tx'), 'a b c', 'SELECT ends on a topic that ends in a marker');
view_holds('tx', 'a b c', 'a view takes what was committed');
progress_is('tx', '9 0', 'its progress passes the marker at the end');

my $open = $kafka->begin('tx', 0, 'o');
$kafka->produce('tx', 0, 'behind');
$kafka->produce('tx', 1, 'beside');
is(all_words('tx'), 'a b beside c',
	'SELECT ends where an open transaction begins');
view_holds('tx', 'a b beside c', 'so does a view, in that partition alone');
# the view would read everything, too
$node->safe_psql('postgres',
	q(SELECT streamx.pause('tx_words');
	  ALTER FOREIGN TABLE tx OPTIONS (ADD isolation 'read_uncommitted')));
is(all_words('tx'), 'a b behind beside c o x y z',
	'read_uncommitted reads everything');
$node->safe_psql('postgres',
	q(ALTER FOREIGN TABLE tx OPTIONS (DROP isolation);
	  SELECT streamx.resume('tx_words')));
$open->rollback;
view_holds('tx', 'a b behind beside c', 'and goes on when it has ended');

# ---- where reading starts

$kafka->create_topic('late', 1);
$kafka->produce('late', 0, 'old');
make_stream('late', start => 'latest');
progress_is('late', '1', 'latest: the end is where it starts, and is saved');
$kafka->produce('late', 0, 'new');
view_holds('late', 'new', 'latest: what comes after');
$kafka->add_partitions('late', 3);
$kafka->produce('late', 2, 'first', 'second');
view_holds('late', 'first new second',
	'a partition added later is read from its beginning');
progress_is('late', '2 0 2', 'the others go on where they were');

$kafka->create_topic('since', 1);
$kafka->produce('since', 0,
	map { { value => "at$_", timestamp => 1_600_000_000_000 + $_ * 1000 } } 1 .. 4);
make_stream('since', start => '2020-09-13 12:26:43+00');
view_holds('since', 'at3 at4', 'a time: messages from then on');
is( $node->safe_psql(
		'postgres', q(SELECT string_agg(word, ' ') FROM since WHERE pos < 2)),
	'at1 at2',
	'SELECT reads what is retained, whatever "start" says');

# ---- a topic that is not there yet

make_stream('soon');
my ($rc, $out, $err) = $node->psql('postgres', 'SELECT * FROM soon');
like($err, qr/topic "soon" does not exist/, 'SELECT says so');
like($err, qr/HINT/, '... with the cure');
$kafka->create_topic('soon', 1);
$kafka->produce('soon', 0, 'here');
view_holds('soon', 'here', 'a view takes it up once it is created, all of it');

# ---- outages

$kafka->stop;
($rc, $out, $err) = $node->psql('postgres', 'SELECT * FROM tx');
like($err, qr/could not reach Kafka at "\Q$bootstrap\E"/,
	'SELECT says which server it cannot reach');
$kafka->start;
$kafka->produce('tx', 1, 'again');
view_holds('tx', 'a again b behind beside c', 'a view goes on after an outage');
$kafka->kill9;
$kafka->start;
$kafka->produce('tx', 1, 'alive');
view_holds('tx', 'a again alive b behind beside c', '... and after a crash');

# ---- offsets that are gone

$kafka->create_topic('lost', 1);
$kafka->produce('lost', 0, 'one');
make_stream('lost', on_data_loss => 'continue');
view_holds('lost', 'one', 'before the loss');
$node->stop;
$kafka->produce('lost', 0, 'two', 'three');
$kafka->truncate('lost', 0, 2);
$node->start;
view_holds('lost', 'one three', 'on_data_loss continue: what is left');
is(all_words('lost'), 'three', 'SELECT reads what is left');

# ---- large messages

my $large = 'x' x 10_000_000;
$kafka->create_topic('large', 1);
$kafka->produce('large', 0, $large, 'small');
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE large (word text) SERVER broker
  OPTIONS (topic 'large', format 'text');
CREATE VIEW large_lengths WITH (streamx.continuous) AS
  SELECT length(word), count(*) FROM large GROUP BY 1;
SQL
is( $node->safe_psql(
		'postgres', 'SELECT sum(length(word)), count(*) FROM large'),
	'10000005|2',
	'SELECT reads 10 MB');
ok( $node->poll_query_until(
		'postgres',
		q(SELECT string_agg(length || ':' || count, ' ' ORDER BY length) FROM large_lengths),
		'5:1 10000000:1'),
	'so does a view');

# ---- INSERT

$kafka->create_topic('written', 4);
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE written (
  id int, city text OPTIONS (path 'geo.city'),
  at timestamptz OPTIONS (epoch 'ms'),
  k text OPTIONS (metadata 'key'),
  part int OPTIONS (metadata 'partition')
) SERVER broker OPTIONS (topic 'written');
INSERT INTO written (id, city, at, k, part)
  VALUES (1, 'Köln', '2020-09-13 12:26:40+00', 'a', 3), (2, NULL, NULL, NULL, 0);
BEGIN;
INSERT INTO written (id, part) VALUES (3, 0);
ROLLBACK;
BEGIN;
INSERT INTO written (id, part) VALUES (4, 1);
SAVEPOINT s;
INSERT INTO written (id, part) VALUES (5, 1);
ROLLBACK TO s;
COMMIT;
SQL
my %written;
foreach my $message ($kafka->consume('written'))
{
	push @{ $written{ $message->{partition} } }, $message;
}
is($written{3}[0]{key}, 'a', 'INSERT writes the key');
is( $written{3}[0]{value},
	qq({"id":1,"geo":{"city":"K\xc3\xb6ln"},"at":1600000000000}),
	'INSERT writes nested paths and epochs');
is( join(' ', map { $_->{value} } @{ $written{0} }),
	'{"id":2,"geo":{"city":null},"at":null}',
	'what is rolled back is not written');
is( join(' ', map { $_->{value} =~ /"id":(\d+)/ } @{ $written{1} }),
	'4', 'nor what is rolled back to a savepoint');
is( $node->safe_psql('postgres',
		'SELECT id, city, at AT TIME ZONE \'UTC\', k FROM written WHERE part = 3'),
	'1|Köln|2020-09-13 12:26:40|a',
	'SELECT reads back what INSERT wrote');

foreach my $case (
	[ 'INSERT INTO written (id, part) VALUES (6, 9)', qr/partition/i, 'partition' ],
	[
		q(INSERT INTO large VALUES (repeat('x', 20000000))),
		qr/too large/i, 'size'
	])
{
	my ($statement, $expected, $name) = @$case;

	($rc, $out, $err) = $node->psql('postgres', $statement);
	like($err, $expected, "an impossible $name is the statement's error");
	like($err, qr/HINT/, '... with a hint');
}

$node->stop;
done_testing();
