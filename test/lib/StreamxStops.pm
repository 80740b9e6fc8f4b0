
=pod

=head1 NAME

StreamxStops - stop points and kills, for a test file

=head1 SYNOPSIS

  use StreamxStops;

  my $stops = StreamxStops->new($node);    # skips the file without stop points
  $stops->arm('before_merge', 'wait', 'a_view');
  ...                                      # whatever makes a worker get there
  my $pid = $stops->reached('before_merge');
  $stops->strike('postmaster');            # ... and the server is back
  $node->log_is_clean($stops->killed);

Stop points are places in the extension, compiled in for tests only, at which
a process can be held, killed or made to fail: see src/base/stop.h.

=cut

package StreamxStops;

use strict;
use warnings;

use Carp;
use PostgreSQL::Test::Utils ();
use Test::More;
use Time::HiRes qw(time usleep);

=pod

=head1 METHODS

=over

=item StreamxStops->new(node)

Under CI an extension without stop points is a failure, elsewhere the test
file is skipped.

=cut

sub new
{
	my ($class, $node) = @_;
	my $self = bless {
		node   => $node,
		dir    => $node->data_dir . '/streamx_stop',
		killed => 0,
		struck => {},
	}, $class;

	if (($node->rows('SHOW streamx.stop_points') // '') ne 'on')
	{
		die "the extension was built without STOP_POINTS=1\n" if $ENV{CI};
		$node->stop;
		plan skip_all => 'the extension was built without STOP_POINTS=1';
	}
	mkdir $self->{dir} or die "cannot make $self->{dir}: $!";
	return $self;
}

=pod

=item $stops->arm(point, action, object, skip, sqlstate)

action: wait, orphan, kill, error or fault.  object: the stream or view at which it
acts, any by default.  skip: how often a process passes by first.

=cut

sub arm
{
	my ($self, $point, @how) = @_;

	unlink "$self->{dir}/$point.reached";
	$self->arm_next($point, @how);
	return;
}

=pod

=item $stops->arm_next(point, action, ...)

The same for the next one; who waits there already goes on waiting.

=cut

sub arm_next
{
	my ($self, $point, $action, $object, $skip, $sqlstate) = @_;
	my $file = "$self->{dir}/$point";

	open my $fh, '>', "$file.new" or die "$file.new: $!";
	print $fh join(' ', $action, $skip // 0, $object // '-', $sqlstate // '53000'), "\n";
	close $fh or die $!;
	rename "$file.new", $file or die $!;
	return;
}

=pod

=item $stops->disarm(point)

False if it was reached meanwhile.

=cut

sub disarm
{
	my ($self, $point) = @_;
	return unlink("$self->{dir}/$point") > 0 && !-e "$self->{dir}/$point.reached";
}

=pod

=item $stops->reached(point, seconds)

The id of the process that has got there, undef if none comes.  It may have been
killed since, by what was struck before it.

=cut

sub reached
{
	my ($self, $point, $seconds) = @_;
	my $file = "$self->{dir}/$point.reached";
	my $end = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);

	while (1)
	{
		if (open my $fh, '<', $file)
		{
			my ($pid) = map { /^(\d+)\n/ ? $1 : () } <$fh>;
			return $pid if $pid;
		}
		last if time > $end;
		usleep(3_000);
	}
	return;
}

=pod

=item $stops->release(point)

Who waits there goes on.

=cut

sub release
{
	my ($self, $point) = @_;
	unlink "$self->{dir}/$point.reached";
	return;
}

=pod

=item $stops->process(type)

The id of a child of the postmaster by its title, without a connection:
worker, scheduler, launcher.  undef: there is none.

=cut

sub process
{
	my ($self, $type) = @_;
	my $postmaster = $self->{node}{_pid};
	my @pids;

	local ($/, @ARGV) = (undef, "/proc/$postmaster/task/$postmaster/children");
	foreach my $pid (split ' ', -r $ARGV[0] ? <> : '')
	{
		open my $fh, '<', "/proc/$pid/cmdline" or next;
		my $title = <$fh> // '';
		push @pids, $pid if $title =~ /: streamx \Q$type\E/;
	}
	return $pids[0];
}

=pod

=item $stops->strike(victim, pid)

Kills worker, scheduler or launcher (or just the process pid) with SIGKILL,
which makes the server start all of its processes again; or the postmaster,
or stops the server immediately, and starts it.  Returns when it is back.

=cut

sub strike
{
	my ($self, $victim, $pid) = @_;
	my $node = $self->{node};

	if ($victim eq 'postmaster')
	{
		$node->crash;
		$node->start;
	}
	elsif ($victim eq 'immediate')
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		$pid //= $self->process($victim) // croak "there is no $victim";
		kill('KILL', $pid) == 1 or croak "process $pid has gone before it was killed";
		$self->struck($pid);
		return;
	}
	$self->{struck}{$victim}++;
	return;
}

=pod

=item $stops->struck(pid)

A process of the server was killed: waits until all have been started again.

=cut

sub struck
{
	my ($self, $pid, $what) = @_;

	$self->{killed}++;
	$self->{struck}{ $what // 'process' }++;
	$self->{node}->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
	  or croak 'the server does not come back';
	return;
}

=pod

=item $stops->killed

How many processes were killed, as the server's log tells it.

=item $stops->strikes

How often anything at all was.

=back

=cut

sub killed
{
	my ($self) = @_;
	return $self->{killed};
}

sub strikes
{
	my ($self) = @_;
	my $sum = 0;

	$sum += $_ foreach values %{ $self->{struck} };
	return $sum;
}

1;
