
# A Kafka that does not let in everybody: SASL/SCRAM over TLS, what happens
# with the wrong password, certificate, authority or rights, and that no secret
# shows anywhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCerts;
use StreamxCluster;
use StreamxKafka;
use Test::More;
use Time::HiRes qw(time sleep);

my $certs = StreamxCerts->new;
$certs->authority($_) foreach qw(ca other_ca);
$certs->issue('broker', 'ca');
$certs->issue('old', 'ca', days => 0);
$certs->issue('elsewhere', 'ca', names => 'DNS:elsewhere.invalid');
my %pem = map { $_ => $certs->pem($_) } qw(ca other_ca);

my $password = 'scram-Secret-1f7e';
my $wrong = 'scram-Wrong-93ab';
my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(secure old elsewhere);
my @keystores;
foreach my $listener ([ secure => 'broker' ], [ old => 'old' ], [ elsewhere => 'elsewhere' ])
{
	my ($name, $cert) = @$listener;
	my $store = $certs->file("$name.store");

	append_to_file($store, $certs->key($cert) . $certs->pem($cert) . $pem{ca});
	push @keystores, "listener.name.$name.ssl.keystore.type=PEM", "listener.name.$name.ssl.keystore.location=$store",
	  "listener.name.$name.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
	  "listener.name.$name.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
	  "listener.name.$name.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_app=\"$password\";";
}
my $others = join ',', map { uc($_) . "://127.0.0.1:$port{$_}" } sort keys %port;
my $kafka = StreamxKafka->new(
	scram => { app => $password, guest => $password },
	props => [
		"listeners=PLAINTEXT://127.0.0.1:\@PORT\@,CONTROLLER://127.0.0.1:\@CONTROLLER\@,$others",
		"advertised.listeners=PLAINTEXT://127.0.0.1:\@PORT\@,$others",
		'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,'
		  . join(',', map { uc($_) . ':SASL_SSL' } sort keys %port),
		'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
		'super.users=User:ANONYMOUS;User:app',
		@keystores
	]);
$kafka->create_topic($_, 2) foreach qw(events out);

# one worker: every stream is in the same process
my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.workers = 1', 'log_min_messages = debug5');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub shows
{
	my ($stream, $condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->wait_until("SELECT $condition FROM streamx.streams WHERE stream = 'app.$stream'::regclass"), $name)
	  || diag(sql("SELECT stream, state, sqlstate, error FROM streamx.streams"));
}

# seconds of processor time of the worker
sub worked
{
	my $pid = sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamx worker' LIMIT 1));
	my @fields = split ' ', slurp_file("/proc/$pid/stat");

	return ($fields[13] + $fields[14]) / 100;
}

# a role that is nobody special
sql(<<'SQL');
CREATE ROLE app LOGIN;
CREATE SCHEMA app AUTHORIZATION app;
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO app;
SQL

# name, its server's options, user and password
sub stream
{
	my ($name, $listener, $ca, $user, $word, $more) = @_;

	sql(<<"SQL");
SET ROLE app;
SET search_path = app, public;
CREATE SERVER $name TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:$port{$listener}',
  "security.protocol" 'SASL_SSL', "sasl.mechanism" 'SCRAM-SHA-512', "ssl.ca.pem" '$pem{$ca}'@{[ $more || '' ]});
CREATE USER MAPPING FOR app SERVER $name OPTIONS (sasl_username '$user', sasl_password '$word');
CREATE FOREIGN TABLE $name (n int, k text) SERVER $name OPTIONS (topic 'events');
CREATE VIEW ${name}_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM $name;
SQL
	return;
}

# ---- the way it is meant

stream('good', 'secure', 'ca', 'app', $password);
$kafka->produce('events', $_ % 2, qq({"n": $_, "k": "a"})) foreach 1 .. 10;
ok($node->wait_until(q(SELECT sum = 55 FROM app.good_total)), 'SCRAM-SHA-512 over TLS');
sql(q(SET ROLE app; INSERT INTO app.good SELECT n, 'b' FROM generate_series(11, 20) n));
ok($node->wait_until(q(SELECT sum = 210 FROM app.good_total)), '... INSERT');
is(sql(q(SET ROLE app; SELECT count(*), sum(n) FROM app.good)), '20|210', '... SELECT');
sql(<<'SQL');
SET ROLE app;
SET search_path = app, public;
CREATE FOREIGN TABLE out (n int) SERVER good OPTIONS (topic 'out');
CREATE VIEW sunk WITH (streamx.continuous, streamx.sink = 'app.out') AS SELECT n FROM good;
SQL
ok($node->wait_until(q(SET ROLE app; SELECT count(*) = 20 FROM app.out)), '... and a sink');
is(sql(q(SET ROLE app; SELECT streamx.wait('app.good_total'))), 't', '... and streamx.wait');

# PLAIN, too
stream('plain', 'secure', 'ca', 'app', $password);
sql(q(ALTER SERVER plain OPTIONS (SET "sasl.mechanism" 'PLAIN')));
ok($node->wait_until(q(SELECT sum = 210 FROM app.plain_total)), 'PLAIN over TLS');

# ---- what does not let us in: visible, with its reason

stream('wrong', 'secure', 'ca', 'app', $wrong);
stream('nobody', 'secure', 'ca', 'nobody', $password);
stream('unknown_ca', 'secure', 'other_ca', 'app', $password);
stream('expired', 'old', 'ca', 'app', $password);
stream('renamed', 'elsewhere', 'ca', 'app', $password);
stream('guest', 'secure', 'ca', 'guest', $password);
shows('wrong', q(state = 'down' AND sqlstate = '28000' AND error ~* 'authentication'), 'a wrong password');
shows('nobody', q(state = 'down' AND sqlstate = '28000' AND error ~* 'authentication'), 'a user that there is not');
shows('unknown_ca', q(state = 'down' AND error ~* 'certificate verify failed: .*(issuer|self.signed)'), 'a broker that somebody else has vouched for');
shows('expired', q(state = 'down' AND error LIKE '%certificate has expired%'), 'a certificate that has expired');
shows('renamed', q(state = 'down' AND error ~* 'certificate verify failed: .*mismatch'), 'a certificate for another host');
shows('guest', q(state = 'down' AND sqlstate = '42501' AND error ~* 'authoriz'), 'a user without rights on the topic');
note sql('SELECT stream, state, sqlstate, error FROM streamx.streams ORDER BY 1');
is(sql(q(SELECT count(*) FROM streamx.views WHERE state = 'stopped')), 0, '... none of which has stopped a view');

# it is tried again, but not all the time; the others go on
my $before = worked();
sleep 5;
my $after = worked();
cmp_ok($after - $before, '<', 1.5, sprintf 'six streams that are not let in cost little (%.2f s in 5 s)', $after - $before);
$kafka->produce('events', 0, '{"n": 1000}');
ok($node->wait_until(q(SELECT sum = 1210 FROM app.good_total)), '... and others go on');
my $errors = sql('SELECT string_agg(error, chr(10)) FROM streamx.streams');
shows($_, q(error <> ''), "$_ still says so") foreach qw(wrong unknown_ca expired guest);

# statements say it at once
foreach my $case ([ wrong => qr/refuses the login.*HINT.*sasl_password/s ], [ guest => qr/permission denied for topic/ ],
	[ unknown_ca => qr/could not .*issuer|could not .*self.signed/s ], [ expired => qr/could not .*certificate has expired/s ])
{
	my ($name, $expected) = @$case;

	like($node->error("SET ROLE app; SELECT count(*) FROM app.$name"), $expected, "SELECT: $name");
	like($node->error("SET ROLE app; INSERT INTO app.$name VALUES (1, 'x')"), $expected, "INSERT: $name");
}

# mended, each goes on by itself
sql("SET ROLE app; ALTER USER MAPPING FOR app SERVER wrong OPTIONS (SET sasl_password '$password')");
sql("SET ROLE app; ALTER SERVER unknown_ca OPTIONS (SET \"ssl.ca.pem\" '$pem{ca}')");
sql("SET ROLE app; ALTER USER MAPPING FOR app SERVER guest OPTIONS (SET sasl_username 'app')");
ok($node->wait_until("SELECT sum = 1210 FROM app.${_}_total"), "$_: mended, it goes on") foreach qw(wrong unknown_ca guest);

# the password is changed on the server only: what is connected stays, what connects anew says so
sql("SET ROLE app; ALTER USER MAPPING FOR app SERVER wrong OPTIONS (SET sasl_password '$wrong')");
shows('wrong', q(state = 'down' AND sqlstate = '28000'), 'changed to a wrong one again');

# ---- no secret shows

stream('talkative', 'secure', 'ca', 'app', $password);
sql(q(ALTER SERVER talkative OPTIONS (ADD debug 'all')));
ok($node->wait_until(q(SELECT sum = 1210 FROM app.talkative_total)), 'a stream with librdkafka\'s debug');
my %seen = (
	'the views' => sql(q(SELECT (SELECT string_agg(s::text, ' ') FROM streamx.streams s) || (SELECT string_agg(v::text, ' ') FROM streamx.views v)
		|| (SELECT string_agg(d::text, ' ') FROM pg_stat_activity d) || (SELECT string_agg(srvoptions::text, ' ') FROM pg_foreign_server))),
	'explain' => sql(q(SELECT streamx.explain('app.talkative_total'))) . sql('SET ROLE app; EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM app.good'),
	'what statements say' => join('', map { $node->error("SET ROLE app; SELECT count(*) FROM app.$_") } qw(wrong expired))
	  . $node->error(qq(ALTER SERVER good OPTIONS (ADD sasl_password '$password'))),
	'the log' => slurp_file($node->logfile));
# statements that failed are in the log as the user wrote them; not those about servers and user mappings
foreach my $where (sort keys %seen)
{
	unlike($seen{$where}, qr/\Q$password\E|\Q$wrong\E/, "no password in $where");
}
like($seen{'the log'}, qr/DEBUG:  /, '... which was at debug5');

# somebody else sees neither the mapping nor the reason
sql('CREATE ROLE other LOGIN; GRANT USAGE ON SCHEMA app TO other');
is(sql(q(SET ROLE other; SELECT count(umoptions) FROM pg_user_mappings)), 0, 'a user mapping is not for others');
is(sql(q(SET ROLE other; SELECT count(error) FROM streamx.streams)), 0, '... nor are errors');
is(sql(q(SET ROLE other; SELECT streamx.wait('app.wrong_total', '2 s'))), 'f', '... nor does waiting tell them');
like($node->error(q(SET ROLE app; SELECT streamx.wait('app.wrong_total', '5 s'))), qr/refuses the login/, 'its owner is told');

$node->log_is_clean;
$node->stop;
done_testing();
