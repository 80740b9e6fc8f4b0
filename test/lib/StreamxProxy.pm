
=pod

=head1 NAME

StreamxProxy - a network that is slow and cuts connections, for a test file

=head1 SYNOPSIS

  my $proxy = StreamxProxy->new(from => $port, to => $other_port);
  $proxy->be(cut_after => 20_000, delay_ms => 5);
  $proxy->be(refuse => 1);
  $proxy->be();                                   # as it should be
  my $times = $proxy->cuts;

A process of its own that hands TCP connections to port "from" on to port "to"
of the loopback interface, until the object goes.  cut_after: each
connection is cut after so many bytes, on the average; delay_ms: each piece of
data waits so long; piece: and has so many bytes at most; refuse: nobody gets
through, and those who are are thrown out.

=cut

package StreamxProxy;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(usleep);

sub new
{
	my ($class, %params) = @_;
	my $self = bless {
		%params,
		owner => $$,
		dir   => PostgreSQL::Test::Utils::tempdir('proxy'),
	}, $class;
	my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1',
		LocalPort => $params{from}, Proto => 'tcp', ReuseAddr => 1) or die "port $params{from}: $!";

	$self->be;
	$self->{pid} = fork // die "cannot fork: $!";
	if (!$self->{pid})
	{
		$self->_serve($listener);
		POSIX::_exit(0);
	}
	return $self;
}

sub be
{
	my ($self, %how) = @_;

	open my $fh, '>', "$self->{dir}/new" or die $!;
	print $fh map { "$_ $how{$_}\n" } sort keys %how;
	close $fh or die $!;
	rename "$self->{dir}/new", "$self->{dir}/how" or die $!;
	return;
}

sub cuts
{
	my ($self) = @_;
	return -s "$self->{dir}/cuts" // 0;
}

sub _how
{
	my ($self) = @_;
	open my $fh, '<', "$self->{dir}/how" or return ();
	return map { split ' ' } <$fh>;
}

sub _serve
{
	my ($self, $listener) = @_;
	my $select = IO::Select->new($listener);
	my (%peer, %left);
	my $parent = getppid;
	my $cut = sub {
		my ($socket) = @_;
		my $peer = delete $peer{$socket} or return;

		delete $peer{$peer};
		foreach my $s ($socket, $peer)
		{
			$select->remove($s);
			delete $left{$s};
			close $s;
		}
	};

	local $SIG{PIPE} = 'IGNORE';
	while (getppid == $parent)
	{
		my @ready = $select->can_read(0.1);
		my %how = $self->_how;

		foreach my $socket (@ready)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $server = $how{refuse} ? undef :
				  IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to}, Proto => 'tcp');

				if (!$server)
				{
					close $client;
					next;
				}
				$peer{$client} = $server;
				$peer{$server} = $client;
				$left{$_} = $how{cut_after} ? rand(2 * $how{cut_after}) : -1 foreach $client, $server;
				$select->add($client, $server);
				next;
			}
			next unless $peer{$socket};
			my $n = sysread $socket, my $data, $how{piece} || 65536;

			if (!$n || $how{refuse})
			{
				$cut->($socket);
				next;
			}
			usleep($how{delay_ms} * 1000) if $how{delay_ms};
			$left{$socket} = rand(2 * $how{cut_after}) if $how{cut_after} && $left{$socket} < 0;
			if ($how{cut_after} && ($left{$socket} -= $n) < 0)
			{
				# in the midst of it
				syswrite $peer{$socket}, substr($data, 0, $n / 2);
				open my $fh, '>>', "$self->{dir}/cuts" or die $!;
				print $fh '.';
				close $fh or die $!;
				$cut->($socket);
				next;
			}
			my $done = 0;
			while ($done < $n)
			{
				my $written = syswrite $peer{$socket}, $data, $n - $done, $done;

				last if !$written;
				$done += $written;
			}
			$cut->($socket) if $done < $n;
		}
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;

	local $?;
	if ($self->{pid} && $self->{owner} == $$)
	{
		kill 'KILL', $self->{pid};
		waitpid $self->{pid}, 0;
	}
	return;
}

1;
