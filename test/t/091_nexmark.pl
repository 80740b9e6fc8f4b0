
# The Nexmark queries over a Kafka topic of JSON events agree with the batch
# run of the same SQL.
#
# Each query is in test/nexmark/, over the views person, auction and bid, which
# stand over the stream in one schema and over a table of the same rows in
# another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

use constant EVENTS => $ENV{STREAMX_LONG} ? 100_000 : 6_000;
use constant START_MS => 1_767_225_600_000;		# 2026-01-01 00:00:00 UTC
use constant EVENTS_PER_SECOND => 100;

my $kafka = StreamxKafka->new;
my $bootstrap = $kafka->bootstrap;
my $node = StreamxCluster->started('main', "TimeZone = 'UTC'");
my $sql = "$FindBin::RealBin/../nexmark";
my $seed = 20261122;

# 0 <= result < n, the same on every machine
sub below
{
	my ($n) = @_;
	$seed = ($seed * 48271) % 0x7fffffff;
	return int($seed / 0x7fffffff * $n);
}

sub word
{
	my ($length) = @_;
	return join '', map { chr(ord('a') + below(26)) } 1 .. $length;
}

sub price
{
	return int(100 * 10**(below(1_000_000) / 1_000_000 * 6) + 0.5);
}

sub at
{
	my ($ms) = @_;
	my ($s, $rest) = (int($ms / 1000), $ms % 1000);
	my @t = gmtime $s;
	return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ], $rest;
}

my ($persons, $auctions) = (0, 0);

sub person
{
	my $id = 1000 + $persons++;
	return sprintf '{"event_type":0,"person":{"id":%d,"name":"%s %s","emailAddress":"%s@%s.com",'
	  . '"creditCard":"%04d %04d","city":"%s","state":"%s","extra":"%s"}}', $id, word(5), word(6), word(7),
	  word(5), below(10000), below(10000), ('Phoenix', 'Los Angeles', 'Boise', 'Portland')[ below(4) ],
	  ('AZ', 'CA', 'ID', 'OR', 'WA', 'WY')[ below(6) ], word(20);
}

sub auction
{
	my ($ms) = @_;
	my $id = 1000 + $auctions++;
	my $seller = below(4) ? int(($persons - 1) / 100) * 100 : below($persons);
	my $initial = price();
	return sprintf '{"event_type":1,"auction":{"id":%d,"itemName":"%s","description":"%s","initialBid":%d,'
	  . '"reserve":%d,"expires":"%s","seller":%d,"category":%d,"extra":"%s"}}', $id, word(8), word(20),
	  $initial, $initial + price(), at($ms + 1 + below(30_000)), 1000 + $seller, 10 + below(5), word(20);
}

sub bid
{
	my $auction = below(2) ? int(($auctions - 1) / 100) * 100
	  : $auctions > 100 ? $auctions - 100 + below(110) : below($auctions + 10);
	my $bidder = below(4) ? int(($persons - 1) / 100) * 100 + 1
	  : $persons > 1000 ? $persons - 1000 + below(1010) : below($persons + 10);
	my $rare = below(2);
	my $channel = $rare ? 'channel-' . below(10000) : ('Google', 'Facebook', 'Baidu', 'Apple')[ below(4) ];
	my $url = sprintf 'https://www.nexmark.com/%s/%s/%s/item.htm?query=1%s', word(4), word(4), word(4),
	  $rare && below(10) ? '&channel_id=' . below(100000) : '';
	return sprintf '{"event_type":2,"bid":{"auction":%d,"bidder":%d,"price":%d,"channel":"%s","url":"%s",'
	  . '"extra":"%s"}}', 1000 + $auction, 1000 + $bidder, price(), $channel, $url, word(30);
}

# in order first, then each hundred shuffled
my @events;
for my $n (0 .. EVENTS - 1)
{
	my $ms = START_MS + int($n * 1000 / EVENTS_PER_SECOND);
	my $kind = $n % 50;
	my $value = $kind == 0 ? person() : $kind <= 3 ? auction($ms) : bid();

	push @events, { value => $value, timestamp => $ms };
}
for (my $i = EVENTS / 2; $i < EVENTS; $i += 100)
{
	for my $k (reverse 1 .. 99)
	{
		my $other = below($k + 1);
		@events[ $i + $k, $i + $other ] = @events[ $i + $other, $i + $k ];
	}
}

$kafka->create_topic('nexmark', 4);
$node->safe_psql('postgres', <<"SQL");
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$bootstrap');
CREATE FOREIGN TABLE events (
  event_type int,
  p_id bigint OPTIONS (path 'person.id'), p_name text OPTIONS (path 'person.name'),
  p_email text OPTIONS (path 'person.emailAddress'), p_city text OPTIONS (path 'person.city'),
  p_state text OPTIONS (path 'person.state'),
  a_id bigint OPTIONS (path 'auction.id'), a_item_name text OPTIONS (path 'auction.itemName'),
  a_description text OPTIONS (path 'auction.description'), a_initial_bid bigint OPTIONS (path 'auction.initialBid'),
  a_reserve bigint OPTIONS (path 'auction.reserve'), a_expires timestamptz OPTIONS (path 'auction.expires'),
  a_seller bigint OPTIONS (path 'auction.seller'), a_category bigint OPTIONS (path 'auction.category'),
  b_auction bigint OPTIONS (path 'bid.auction'), b_bidder bigint OPTIONS (path 'bid.bidder'),
  b_price bigint OPTIONS (path 'bid.price'), b_channel text OPTIONS (path 'bid.channel'),
  b_url text OPTIONS (path 'bid.url'), b_extra text OPTIONS (path 'bid.extra'),
  ts timestamptz OPTIONS (metadata 'timestamp')
) SERVER broker OPTIONS (topic 'nexmark', watermark '4 s', idle_timeout '0');
CREATE TABLE side_input (key bigint PRIMARY KEY, value text);
INSERT INTO side_input SELECT i, 'value ' || i FROM generate_series(0, 99) i;
CREATE SCHEMA batch;
SQL

sub schema
{
	my ($path, $source) = @_;
	my ($rc, undef, $err) = $node->psql('postgres', "SET search_path = $path, public;\n\\i $sql/schema.sql",
		extra_params => [ '-v', "source=$source" ], on_error_stop => 1);
	die $err if $rc;
	return;
}

schema('public', 'events');

my @queries = sort { ($a =~ /(\d+)/)[0] <=> ($b =~ /(\d+)/)[0] } map { m{/(q\d+)\.sql$} } glob "$sql/q*.sql";
cmp_ok(scalar @queries, '>=', 20, 'there are queries');

# half of the events are there when the views come, half come afterwards
$kafka->produce('nexmark', -1, @events[ 0 .. EVENTS / 2 - 1 ]);
foreach my $q (@queries)
{
	my $query = slurp_file("$sql/$q.sql");
	my ($rc, undef, $err) = $node->psql('postgres', "CREATE VIEW $q WITH (streamx.continuous) AS $query");

	is($rc, 0, "$q can be kept") or diag($err);
}
$kafka->produce('nexmark', -1, splice @events, EVENTS / 2, EVENTS / 20) while @events > EVENTS / 2;

my %kept = map { $_ => 1 } split /\n/,
  $node->safe_psql('postgres', 'SELECT view FROM streamx.views');

foreach my $q (grep { $kept{$_} } @queries)
{
	$node->caught_up($q);
}
$node->safe_psql('postgres', 'CREATE TABLE batch.events AS SELECT * FROM events; ANALYZE batch.events');
schema('batch', 'batch.events');
is($node->safe_psql('postgres', 'SELECT count(*) FROM batch.events'), EVENTS, 'all events are there');

foreach my $q (@queries)
{
  SKIP:
	{
		my $query = slurp_file("$sql/$q.sql");

		skip "$q was refused", 1 unless $kept{$q};
		is($node->safe_psql('postgres', <<"SQL"), "t|0", "$q equals the batch");
SET search_path = batch, public;
CREATE TEMP TABLE b AS $query;
SELECT (SELECT count(*) > 0 FROM b),
       (SELECT count(*) FROM ((TABLE b EXCEPT ALL TABLE public.$q) UNION ALL (TABLE public.$q EXCEPT ALL TABLE b)) d)
SQL
	}
}

$node->stop;
done_testing();
