
# Sockets among strangers: TLS in both directions, what a listening socket
# bears, and that no secret of its shows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCerts;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $certs = StreamxCerts->new;
$certs->authority($_) foreach qw(ca other_ca);
$certs->issue('server', 'ca');
$certs->issue('elsewhere', 'ca', names => 'DNS:elsewhere.invalid');
$certs->issue('old', 'ca', days => 0);
$certs->issue('client', 'ca');
$certs->issue('stranger', 'other_ca');

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'log_min_messages = debug5');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub shows
{
	my ($stream, $condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->wait_until("SELECT $condition FROM streamx.streams WHERE stream = '$stream'::regclass", 30), $name)
	  || diag(sql("SELECT stream, state, error FROM streamx.streams WHERE stream = '$stream'::regclass"));
}

sub counts
{
	my ($view, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->wait_until("SELECT count = $expected FROM $view", 20), $name)
	  || diag(sql("TABLE $view"), sql('SELECT stream, state, error FROM streamx.streams'));
}

sub connected
{
	my ($port) = @_;
	my $end = time + 30;

	while (time < $end)
	{
		my $connection = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp');

		return $connection if $connection;
		usleep(50_000);
	}
	die "nobody listens on port $port";
}

# true: the other side has closed it within the time
sub is_closed
{
	my ($connection, $seconds) = @_;
	my $byte;

	return IO::Select->new($connection)->can_read($seconds) && !sysread $connection, $byte, 1;
}

# A program of openssl that says these lines to the other side, and then stays
my $talks = 0;
sub talking
{
	my ($lines, @command) = @_;
	my $self = { out => '', err => '' };
	my $file = $certs->file('talk' . ++$talks);

	append_to_file($file, $lines);
	$self->{run} = IPC::Run::start([ 'openssl', @command ], '<', $file, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $self;
}

sub done
{
	my ($self) = @_;

	$self->{run}->kill_kill(grace => 0);
	return $self->{err};
}

sub send_by_tls
{
	my ($port, $lines, @options) = @_;

	# not there yet?
	foreach (1 .. 300)
	{
		last if slurp_file('/proc/net/tcp') =~ /: 0100007F:@{[ sprintf '%04X', $port ]} 00000000:0000 0A/;
		usleep(100_000);
	}
	return talking($lines, 's_client', '-quiet', '-connect', "127.0.0.1:$port",
		'-CAfile', $certs->file('ca.pem'), '-verify_return_error', @options);
}

# ---- a listening socket with TLS: the key is in the user mapping

my $port = PostgreSQL::Test::Cluster::get_free_port();
my %pem = map { $_ => $certs->pem($_) } qw(ca other_ca server elsewhere old client);
my $key = $certs->key('server');
my ($secret) = $key =~ /\n([A-Za-z0-9+\/]{40})/;
sql(<<"SQL");
CREATE SERVER wire TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$port', mode 'listen', tls 'on', tls_certificate '$pem{server}');
CREATE FOREIGN TABLE wire (line text) SERVER wire;
CREATE VIEW wire_total WITH (streamx.continuous) AS SELECT count(*) FROM wire;
SQL
shows('wire', "state = 'failed' AND error LIKE '%tls_key%'", 'without a key it says so');
sql("CREATE USER MAPPING FOR CURRENT_USER SERVER wire OPTIONS (tls_key '" . $certs->key('client') . "')");
shows('wire', "state = 'failed' AND error LIKE '%key%'", 'with the key of another certificate, too');
sql("ALTER USER MAPPING FOR CURRENT_USER SERVER wire OPTIONS (SET tls_key '$key')");
shows('wire', "state = 'running'", 'with its key it listens');
my $client = send_by_tls($port, "one\ntwo\n");
counts('wire_total', 2, 'lines come by TLS');
my $second = send_by_tls($port, join '', map { "line $_ " . 'x' x ($_ % 900) . "\n" } 1 .. 5000);
counts('wire_total', 5002, '... many of them');

my $plain = connected($port);
print $plain "GET / HTTP/1.0\n\n";
$plain->flush;
ok(is_closed($plain, 20), 'who does not speak TLS is turned away');
shows('wire', "state = 'running' AND error LIKE '%turned away%TLS%'", '... and that is said');
my $silent = connected($port);
my $third = send_by_tls($port, "three\n");
counts('wire_total', 5003, '... and others go on');
shows('wire', 'error IS NULL', '... and all is well again');
ok(is_closed($silent, 20), 'a handshake that does not come is not waited for');
done($_) foreach $second, $third;

# clients have to show a certificate
my $open = connected($port);
sql("ALTER SERVER wire OPTIONS (ADD tls_ca '$pem{ca}')");
ok(is_closed($open, 30), 'a change of options begins anew');
done($client);
my $nobody = send_by_tls($port, "not this one\n");
shows('wire', "error LIKE '%turned away%certificate%'", 'a client without a certificate is turned away');
done($nobody);
my $stranger = send_by_tls($port, "not this one\n", '-cert', $certs->file('stranger.pem'), '-key', $certs->file('stranger.key'));
shows('wire', "error LIKE '%turned away%issuer%' OR error LIKE '%turned away%self%signed%'", '... and one that somebody else has vouched for');
done($stranger);
$client = send_by_tls($port, "five\n", '-cert', $certs->file('client.pem'), '-key', $certs->file('client.key'));
counts('wire_total', 5004, 'one with a certificate is let in');
done($client);

# ---- connecting by TLS: whom to trust

my %trusts = (
	trusted => [ 'server', 'ca', undef ],
	stranger => [ 'server', 'other_ca', 'issuer|self.signed' ],
	expired => [ 'old', 'ca', 'expired' ],
	renamed => [ 'elsewhere', 'ca', 'mismatch' ],
);
foreach my $name (sort keys %trusts)
{
	my ($cert, $ca, $error) = @{ $trusts{$name} };
	my $listen = PostgreSQL::Test::Cluster::get_free_port();
	my $server = talking("one\ntwo\n", 's_server', '-quiet', '-accept', "127.0.0.1:$listen",
		'-cert', $certs->file("$cert.pem"), '-key', $certs->file("$cert.key"), '-naccept', 1000);

	sql(<<"SQL");
CREATE SERVER $name TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host '127.0.0.1', port '$listen', tls 'on', tls_ca '$pem{$ca}');
CREATE FOREIGN TABLE $name (line text) SERVER $name;
CREATE VIEW ${name}_total WITH (streamx.continuous) AS SELECT count(*) FROM $name;
SQL
	if ($error)
	{
		shows($name, "state = 'down' AND error ~ '$error'", "connecting to a server whose certificate is not to be trusted: $name");
		is(sql("SELECT count FROM ${name}_total"), 0, '... nothing is taken from it');
	}
	else
	{
		counts("${name}_total", 2, 'connecting by TLS');
	}
	done($server);
	sql("DROP FOREIGN TABLE $name CASCADE");
}

# ---- limits

my $limited = PostgreSQL::Test::Cluster::get_free_port();
my $lazy = PostgreSQL::Test::Cluster::get_free_port();
sql(<<"SQL");
CREATE SERVER limited TYPE 'socket' FOREIGN DATA WRAPPER streamx
  OPTIONS (port '$limited', mode 'listen', max_connections '2', max_line '10', max_idle '1 hour');
CREATE FOREIGN TABLE limited (line text) SERVER limited;
CREATE VIEW limited_total WITH (streamx.continuous) AS SELECT count(*) FROM limited;
CREATE SERVER lazy TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$lazy', mode 'listen', max_idle '2 seconds');
CREATE FOREIGN TABLE lazy (line text) SERVER lazy;
CREATE VIEW lazy_total WITH (streamx.continuous) AS SELECT count(*) FROM lazy;
SQL
my @clients = map { connected($limited) } 1 .. 2;
foreach (@clients)
{
	print $_ "x\n";
	$_->flush;
}
counts('limited_total', 2, 'as many clients as there may be');
my $more = connected($limited);
ok(is_closed($more, 30), 'one more is turned away');
shows('limited', "state = 'running' AND error LIKE '%2 connections are open%'", '... and that is said');
print { $clients[0] } "0123456789\n0123456789abc\n";
$clients[0]->flush;
counts('limited_total', 3, 'a line that is just as long as it may be');
ok($node->wait_until(q(SELECT convert_from(substr(payload, 1, 10), 'UTF8') = '0123456789' FROM streamx.dead_letters WHERE stream = 'limited'::regclass)),
	'one that is longer is a dead letter');
local $SIG{PIPE} = 'IGNORE';
# when one has gone another may come, as soon as that is noticed
close $clients[1];
foreach my $i (1 .. 30)
{
	$more = connected($limited);
	print $more "y\n";
	$more->flush;
	last if !is_closed($more, 2);
}
ok($node->wait_until('SELECT count >= 4 FROM limited_total'), 'there is room again');

@clients = map { connected($lazy) } 1 .. 2;
print { $clients[0] } "x\nhalf";
$clients[0]->flush;
ok(is_closed($clients[1], 30), 'who is silent for too long is let go');
ok(is_closed($clients[0], 30), '... who has begun a line as well');
counts('lazy_total', 2, '... which counts as far as it came');

# lines without an end, from many
my $greedy = PostgreSQL::Test::Cluster::get_free_port();
sql(<<"SQL");
CREATE SERVER greedy TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$greedy', mode 'listen', max_line '30000000');
CREATE FOREIGN TABLE greedy (line text) SERVER greedy;
CREATE VIEW greedy_total WITH (streamx.continuous) AS SELECT count(*) FROM greedy;
SQL
my $modest = connected($greedy);
print $modest 'begun';
$modest->flush;
my @greedy = map { connected($greedy) } 1 .. 4;
my $zeros = '0' x 1_000_000;
foreach my $i (1 .. 28)
{
	syswrite $_, $zeros foreach @greedy;
}
shows('greedy', "error LIKE '%lines without an end%'", 'lines without an end do not take all memory');
print $modest " and ended\n";
$modest->flush;
counts("(SELECT count(*) FROM greedy_total WHERE count >= 1) AS x (count)", 1, '... and others go on');
close $_ foreach @greedy;

# ---- who may, and what shows

like($node->error("ALTER SERVER wire OPTIONS (ADD tls_key 'x')"), qr/HINT.*user mapping/, 'a key does not go into a server');
like($node->error(q(CREATE SERVER x TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '1', mode 'listen', tls 'on'))),
	qr/tls_certificate/, 'who listens needs a certificate');
like($node->error(qq(CREATE SERVER x TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '1', tls_ca '$pem{ca}'))),
	qr/needs option "tls"/, 'what is for TLS needs TLS');
sql(<<'SQL');
CREATE ROLE app LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO app;
CREATE ROLE reader LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO reader;
GRANT pg_read_server_files TO reader;
SQL
$port = PostgreSQL::Test::Cluster::get_free_port();
my $files = "CREATE SERVER x TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '$port', mode 'listen', tls 'on', "
  . "tls_certificate_file '" . $certs->file('server.pem') . "', tls_key_file '" . $certs->file('server.key') . "')";
like($node->error("SET ROLE app; $files"), qr/permission denied to set option "tls_certificate_file"/, 'files are not for everybody');
sql('DROP FOREIGN TABLE wire CASCADE; DROP SERVER wire CASCADE');
sql("SET ROLE reader; $files");
sql("CREATE FOREIGN TABLE x (line text) SERVER x; CREATE VIEW x_total WITH (streamx.continuous) AS SELECT count(*) FROM x");
$client = send_by_tls($port, "one\n");
counts('x_total', 1, 'certificate and key from files');
done($client);

unlike(slurp_file($node->logfile), qr/\Q$secret\E/, 'no key in the log, at debug5');
unlike(sql('SELECT string_agg(s::text, $$ $$) FROM streamx.streams s'), qr/\Q$secret\E/, '... nor in a view');

$node->stop;
done_testing();
