
=pod

=head1 NAME

StreamxKafka - a real Kafka broker for a test file

=head1 SYNOPSIS

  use FindBin;
  use lib "$FindBin::RealBin/../lib";
  use StreamxKafka;

  my $kafka = StreamxKafka->new;      # starts it; skips the file if it cannot
  $kafka->create_topic('clicks', 4);
  $kafka->produce('clicks', 0, '{"a":1}', { key => 'k', value => '{"a":2}' });
  $kafka->commit('clicks', 1, '{"a":3}');     # in a transaction
  $kafka->abort('clicks', 1, '{"a":4}');
  my $server_option = $kafka->bootstrap;

The broker listens on the loopback interface, has its data in the test's
temporary directory and is stopped when the test file ends.  Where no broker
can be started (no Java, say) the file is skipped with a word; under CI
(environment variable CI) that is a failure.

=cut

package StreamxKafka;

use strict;
use warnings;

use Cwd qw(abs_path);
use Encode ();
use File::Basename qw(dirname);
use IPC::Run ();
use PostgreSQL::Test::Utils ();
use Test::More;

my $top = abs_path(dirname(__FILE__) . '/../..');
my @brokers;
my $tool;

sub _cannot
{
	my ($why) = @_;

	die "cannot start a Kafka broker: $why\n" if $ENV{CI};
	plan skip_all => "cannot start a Kafka broker: $why";
}

# Runs a command with this standard input; returns its status, output, errors.
sub _run
{
	my ($input, @command) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(\@command, '<', \$input, '>', \$out, '2>', \$err);
	return ($?, $out, $err);
}

# The little program that talks to the broker, compiled once per test file.
sub _build_tool
{
	return if defined $tool;
	my $binary = PostgreSQL::Test::Utils::tempdir('kafka_tool') . '/kafka_tool';
	my ($rc, undef, $err) = _run('', $ENV{CC} || 'cc', '-O1', '-o', $binary,
		"$top/test/lib/kafka_tool.c", '-lrdkafka');
	_cannot("kafka_tool does not compile: $err") if $rc;
	$tool = $binary;
	return;
}

=pod

=head1 METHODS

=over

=item StreamxKafka->new(props => [ 'name=value', ... ], scram => { user => password, ... })

Starts a broker, with settings of its own.  With C<@PORT@> and
C<@CONTROLLER@> in a value the ports are meant.  The users are there for
SCRAM-SHA-512, where a listener is for it.

=cut

sub new
{
	my ($class, %params) = @_;
	my $self = bless {
		dir   => PostgreSQL::Test::Utils::tempdir('kafka'),
		port  => 0,
		props => $params{props} || [],
		scram => $params{scram} || {},
		id    => $params{id},
	}, $class;

	_build_tool();
	my $why = $self->_start;
	_cannot($why) if defined $why;
	push @brokers, $self;
	note "Kafka broker at $self->{bootstrap}";
	return $self;
}

=pod

=item StreamxKafka->cluster(number)

So many brokers that know each other; the first, which is the controller as
well, has to stay.

=cut

sub cluster
{
	my ($class, $number) = @_;
	my $first = $class->new;
	my $read = sub {
		my ($file, $name) = @_;
		my ($value) = PostgreSQL::Test::Utils::slurp_file("$first->{dir}/$file") =~ /^\Q$name\E=(.*)$/m;
		return $value;
	};
	my $voters = $read->('server.properties', 'controller.quorum.voters');
	my $id = $read->('data/meta.properties', 'cluster.id');

	return ($first, map {
		$class->new(id => $id, props => [ 'process.roles=broker', "node.id=$_", "controller.quorum.voters=$voters",
			'listeners=PLAINTEXT://127.0.0.1:@PORT@' ])
	} 2 .. $number);
}

# undef if it runs, or why it does not
sub _start
{
	my ($self) = @_;

	# through a file: the broker would keep a pipe of ours open
	my $out = "$self->{dir}/start.out";
	my $err = "$self->{dir}/start.err";
	my @command = ("$top/scripts/kafka", 'start', $self->{dir}, $self->{port},
		(map { ('--scram', "$_=$self->{scram}{$_}") } sort keys %{ $self->{scram} }),
		'--props', @{ $self->{props} });
	local $ENV{STREAMX_KAFKA_HEAP} = $ENV{STREAMX_KAFKA_HEAP} || '384m';
	local $ENV{STREAMX_KAFKA_ID} = $self->{id} if defined $self->{id};

	IPC::Run::run(\@command, '<', '/dev/null', '>', $out, '2>', $err);
	if ($?)
	{
		my $why = PostgreSQL::Test::Utils::slurp_file($err);
		chomp $why;
		return $why || 'scripts/kafka failed';
	}
	my $address = PostgreSQL::Test::Utils::slurp_file($out);
	chomp $address;
	$self->{bootstrap} = $address;
	($self->{port}) = $address =~ /:(\d+)$/;
	return;
}

=pod

=item $kafka->bootstrap

Its address, for the server option bootstrap_servers.

=cut

sub bootstrap
{
	my ($self) = @_;
	return $self->{bootstrap};
}

=pod

=item $kafka->stop, $kafka->start, $kafka->kill9

Stop it, start it again at the same address with the same data, end it with
SIGKILL.

=cut

sub stop
{
	my ($self) = @_;
	my ($rc, undef, $err) =
	  _run('', "$top/scripts/kafka", 'stop', $self->{dir});
	die "could not stop the broker: $err" if $rc;
	return;
}

sub start
{
	my ($self) = @_;
	my $why = $self->_start;
	die "could not start the broker again: $why" if defined $why;
	return;
}

sub pid
{
	my ($self) = @_;
	my ($rc, $out, $err) =
	  _run('', "$top/scripts/kafka", 'pid', $self->{dir});
	die "the broker does not run: $err" if $rc;
	chomp $out;
	return $out;
}

sub kill9
{
	my ($self) = @_;
	kill 'KILL', $self->pid;
	$self->stop;
	return;
}

=pod

=item $kafka->pause, $kafka->resume

It hangs (SIGSTOP), and goes on.

=cut

sub pause
{
	my ($self) = @_;
	kill 'STOP', $self->pid;
	return;
}

sub resume
{
	my ($self) = @_;
	kill 'CONT', $self->pid;
	return;
}

sub _tool
{
	my ($self, $input, $verb, @args) = @_;
	my ($rc, $out, $err) = _run($input, $tool, $self->{bootstrap}, $verb, @args);
	die "kafka_tool $verb @args failed: $err" if $rc;
	return $out;
}

=pod

=item $kafka->create_topic(name, partitions, name => value ...)

=item $kafka->delete_topic(name)

=item $kafka->add_partitions(topic, total)

=item $kafka->truncate(topic, partition, before_offset)

As retention would do it: offsets below before_offset are gone.

=cut

sub create_topic
{
	my ($self, $topic, $partitions, %config) = @_;
	$self->_tool('', 'create', $topic, $partitions || 1,
		map { "$_=$config{$_}" } sort keys %config);
	return;
}

sub delete_topic
{
	my ($self, $topic) = @_;
	$self->_tool('', 'delete', $topic);
	return;
}

sub add_partitions
{
	my ($self, $topic, $total) = @_;
	$self->_tool('', 'partitions', $topic, $total);
	return;
}

sub truncate    ## no critic (ProhibitBuiltinHomonyms)
{
	my ($self, $topic, $partition, $before) = @_;
	$self->_tool('', 'truncate', $topic, $partition, $before);
	return;
}

=pod

=item $kafka->offsets(topic)

One [ partition, low, high ] per partition.

=cut

sub offsets
{
	my ($self, $topic) = @_;
	return map { [ split ' ' ] } split /\n/, $self->_tool('', 'offsets', $topic);
}

=pod

=item $kafka->leaders(topic)

One [ partition, leader, number of replicas in sync ] per partition.

=cut

sub leaders
{
	my ($self, $topic) = @_;
	return map { [ split ' ' ] } split /\n/, $self->_tool('', 'leaders', $topic);
}

sub _hex
{
	my ($value) = @_;
	return '-' unless defined $value;
	$value = Encode::encode('UTF-8', $value) if utf8::is_utf8($value);
	return unpack 'H*', $value;
}

sub _lines
{
	my ($partition, @messages) = @_;
	my $lines = '';

	foreach my $message (@messages)
	{
		my %m = ref $message ? %$message : (value => $message);
		my @fields = ($m{partition} // $partition, $m{timestamp} // 0,
			_hex($m{key}), _hex($m{value}));
		my @headers = @{ $m{headers} || [] };

		while (my ($name, $value) = splice @headers, 0, 2)
		{
			push @fields, _hex($name) . '=' . _hex($value);
		}
		$lines .= join("\t", @fields) . "\n";
	}
	return $lines;
}

=pod

=item $kafka->produce(topic, partition, message ...)

A message is its payload, or a hash of value (undef: a tombstone), key,
timestamp (in ms), headers (a list of names and values), partition.
Partition -1: any.  Returns when the broker has them.

=item $kafka->commit(topic, partition, message ...)

=item $kafka->abort(topic, partition, message ...)

The same in one transaction.

=item $kafka->begin(topic, partition, message ...)

The same in a transaction that stays open until $transaction->rollback, or
until the object goes.

=cut

sub produce
{
	my ($self, $topic, $partition, @messages) = @_;
	$self->_tool(_lines($partition, @messages), 'produce', $topic);
	return;
}

sub commit
{
	my ($self, $topic, $partition, @messages) = @_;
	$self->_tool(_lines($partition, @messages), 'commit', $topic);
	return;
}

sub abort
{
	my ($self, $topic, $partition, @messages) = @_;
	$self->_tool(_lines($partition, @messages), 'abort', $topic);
	return;
}

my $transactions = 0;

sub begin
{
	my ($self, $topic, $partition, @messages) = @_;
	my $transaction = bless {
		kafka => $self,
		topic => $topic,
		id    => "test_$$\_" . ++$transactions,
		in    => _lines($partition, @messages) . "\n",
		out   => '',
		err   => '',
	}, 'StreamxKafka::Transaction';

	$transaction->{run} = IPC::Run::start(
		[ $tool, $self->{bootstrap}, 'hang', $topic, $transaction->{id} ],
		'<', \$transaction->{in}, '>', \$transaction->{out},
		'2>', \$transaction->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	IPC::Run::pump($transaction->{run}) until $transaction->{out} =~ /open/;
	return $transaction;
}

=pod

=item my $producer = $kafka->producer(topic, name => value ...)

=item $producer->send(partition, message ...), $producer->finish

One that stays, with librdkafka's settings.  Messages are on their way when
send returns, and with the broker when finish does.

=cut

sub producer
{
	my ($self, $topic, %settings) = @_;
	my $producer = bless { in => '', err => '' }, 'StreamxKafka::Producer';

	$producer->{run} = IPC::Run::start(
		[ $tool, $self->{bootstrap}, 'produce', $topic,
			map { "$_=$settings{$_}" } sort keys %settings ],
		'<', \$producer->{in}, '>', '/dev/null', '2>', \$producer->{err});
	return $producer;
}

=pod

=item $kafka->consume(topic)

All messages that the topic holds, read committed, as hashes of partition,
offset, key, value.

=back

=cut

sub consume
{
	my ($self, $topic) = @_;
	my @messages;

	foreach my $line (split /\n/, $self->_tool('', 'consume', $topic))
	{
		my ($partition, $offset, $key, $value) = split /\t/, $line, -1;

		push @messages,
		  {
			partition => $partition,
			offset    => $offset,
			key       => $key eq '-' ? undef : pack('H*', $key),
			value     => $value eq '-' ? undef : pack('H*', $value),
		  };
	}
	return @messages;
}

END
{
	# stopping must not change what the test file returns
	my $status = $?;

	foreach my $broker (@brokers)
	{
		eval { $broker->stop; 1 } or warn $@;
	}
	$? = $status;
}

package StreamxKafka::Producer;

use strict;
use warnings;

sub send    ## no critic (ProhibitBuiltinHomonyms)
{
	my ($self, $partition, @messages) = @_;

	$self->{in} .= StreamxKafka::_lines($partition, @messages);
	$self->{run}->pump while length $self->{in};
	return;
}

sub finish
{
	my ($self) = @_;

	# a server that was started meanwhile may hold the pipe open: say so
	$self->{in} .= "\n";
	$self->{run}->finish or die "the producer failed: $self->{err}";
	return;
}

package StreamxKafka::Transaction;

use strict;
use warnings;

# A producer of the same name makes the broker abort what is open.
sub rollback
{
	my ($self) = @_;

	return unless defined $self->{run};
	$self->{run}->kill_kill(grace => 0);
	delete $self->{run};
	$self->{kafka}->_tool("\n", 'hang', $self->{topic}, $self->{id});
	return;
}

sub DESTROY
{
	my ($self) = @_;

	local $?;
	$self->{run}->kill_kill(grace => 0) if defined $self->{run};
	return;
}

1;
