
# What a worker sees of changes that happen while it looks: views that are made
# just then, code of users that runs on their behalf.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main', "deadlock_timeout = '10s'");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- a view that is made while the worker opens its stream

sql(q(CREATE FOREIGN TABLE s (n int) SERVER streamx;
CREATE VIEW first WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM s;
SELECT streamx.wait('first');
SELECT streamx.pause('first');));
ok($node->wait_until(
		q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'streamx worker')),
	'nobody reads the stream');

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; ALTER FOREIGN TABLE s ADD COLUMN extra int;');
sql(q(SELECT streamx.resume('first')));
ok($node->wait_until(
		q(SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid)
		  WHERE NOT granted AND backend_type = 'streamx worker')),
	'the worker waits for the stream');
$session->query_safe("CREATE VIEW second WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM s;
INSERT INTO s SELECT generate_series(1, 10);
COMMIT;");
$session->quit;
is(sql(q(SELECT streamx.wait('first'), streamx.wait('second'))), 't|t', 'both have read on');
is(sql('TABLE first'), '10|55', 'the old view has what came');
is(sql('TABLE second'), '10|55', 'the new one too: it was there before');

# ---- whose rights code of users has that decoding runs

my $port = PostgreSQL::Test::Cluster::get_free_port();
sql(qq(CREATE ROLE mallory;
GRANT CREATE ON SCHEMA public TO mallory;
CREATE SERVER wire TYPE 'socket' FOREIGN DATA WRAPPER streamx
  OPTIONS (host '127.0.0.1', port '$port', mode 'listen');
GRANT USAGE ON FOREIGN SERVER wire TO mallory;
SET ROLE mallory;
CREATE TABLE runs (as_whom name);
CREATE FUNCTION check_it(v text) RETURNS bool LANGUAGE plpgsql AS \$\$
BEGIN
  INSERT INTO public.runs VALUES (current_user);
  PERFORM set_config('statement_timeout', '12345', false);
  RETURN true;
END \$\$;
CREATE DOMAIN checked AS text CHECK (check_it(VALUE));
CREATE FOREIGN TABLE lines (line checked) SERVER wire OPTIONS (format 'text');
CREATE VIEW seen WITH (streamx.continuous) AS
  SELECT line, current_setting('statement_timeout') AS timeout FROM lines;));

my $client;
foreach my $try (1 .. 100)
{
	$client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) and last;
	select(undef, undef, undef, 0.1);
}
ok($client, 'the stream listens');
$client->print("one\n");
$client->flush;
ok($node->wait_until(q(SELECT count(*) = 1 FROM seen)), 'a line has come');
$client->print("two\n");
$client->flush;
ok($node->wait_until(q(SELECT count(*) = 2 FROM seen)), 'and another');
$client->close;
is(sql('SELECT DISTINCT as_whom FROM runs'),
	'mallory', 'a domain is checked with the rights of the owner of its stream');
is(sql('SELECT DISTINCT timeout FROM seen'),
	'0', 'what his functions set does not stay in the worker');

done_testing();
