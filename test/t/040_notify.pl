# The option notify: a channel is told once per batch that changed the result.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('notify');
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE s (k text) SERVER streamx;
	CREATE VIEW v WITH (streamx.continuous, streamx.notify = 'changed') AS
	  SELECT k, count(*) FROM s WHERE k <> 'no' GROUP BY k;
	INSERT INTO s VALUES ('a');
	SELECT streamx.wait('v');
});

my $told = $node->safe_psql('postgres', q{
	LISTEN changed;
	INSERT INTO s SELECT 'b' FROM generate_series(1, 1000);
	SELECT streamx.wait('v');
	SELECT 1;
});
my @told = ($told =~ /Asynchronous notification "changed" with payload "(.*?)" received/g);
is_deeply(\@told, ['public.v'], 'one notification for a batch, it names the view');

$told = $node->safe_psql('postgres', q{
	LISTEN changed;
	INSERT INTO s VALUES ('no');
	SELECT streamx.wait('v');
	SELECT 1;
});
unlike($told, qr/Asynchronous notification/, 'none for a batch that changes nothing');

$node->stop;
done_testing();
