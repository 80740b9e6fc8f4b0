
=pod

=head1 NAME

StreamxCluster - a PostgreSQL server with streamx, for a test file

=head1 SYNOPSIS

  use FindBin;
  use lib "$FindBin::RealBin/../lib";
  use StreamxCluster;

  my $node = StreamxCluster->started('main', 'work_mem = 8MB');
  $node->safe_psql('postgres', 'CREATE VIEW v WITH (streamx.continuous) AS ...');
  $node->caught_up('v');
  $node->same('TABLE v', 'SELECT ...', 'the view is exact');
  $node->log_is_clean;

A PostgreSQL::Test::Cluster that preloads streamx, restarts after a crash and
has the extension in its database postgres.

=cut

package StreamxCluster;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();		# its functions would hide methods
use Test::More;
use Time::HiRes qw(time usleep);

our @ISA = ('PostgreSQL::Test::Cluster');

=pod

=head1 METHODS

=over

=item StreamxCluster->new(name), StreamxCluster->started(name, setting ...)

As in PostgreSQL::Test::Cluster; and a server that runs and has the
extension.  Settings are lines for its postgresql.conf.

=cut

sub new
{
	my ($class, @args) = @_;
	return bless PostgreSQL::Test::Cluster->new(@args), $class;
}

sub started
{
	my ($class, $name, @settings) = @_;
	my $node = $class->new($name);

	$node->init;
	$node->append_conf('postgresql.conf',
		join "\n", "shared_preload_libraries = 'streamx'",
		'restart_after_crash = on', 'log_statement = none',
		'log_min_messages = info', "log_line_prefix = '%m [%p] %b '",
		'max_worker_processes = 16', @settings, '');
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION streamx');
	return $node;
}

=pod

=item StreamxCluster->needs_program(name)

Skips the test file where there is none of that name; under CI it fails.

=cut

sub needs_program
{
	my ($class, $name) = @_;

	return if grep { -x "$_/$name" } split /:/, $ENV{PATH};
	die "$name is not installed\n" if $ENV{CI};
	plan skip_all => "$name is not installed";
}

=pod

=item StreamxCluster->module(name)

Compiles test/lib/<name>.c, a library for the server; returns its path, for
CREATE FUNCTION.

=cut

sub module
{
	my ($class, $name) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir('module') . "/$name.so";
	my $include = `pg_config --includedir-server`;

	chomp $include;
	PostgreSQL::Test::Utils::system_or_bail($ENV{CC} || 'cc', '-O1', '-shared', '-fPIC', "-I$include",
		'-o', $library, dirname(__FILE__) . "/$name.c");
	chmod 0755, $library;
	return $library;
}

=pod

=item $node->set_conf(name => value ...)

By ALTER SYSTEM and a reload.

=cut

sub set_conf
{
	my ($self, %settings) = @_;

	foreach my $name (sort keys %settings)
	{
		$self->safe_psql('postgres',
			"ALTER SYSTEM SET $name = '$settings{$name}'");
	}
	$self->reload;
	return;
}

=pod

=item $node->rows(sql, dbname)

The result as a string; undef while the server cannot be asked.

=cut

sub rows
{
	my ($self, $sql, $dbname) = @_;
	my ($out, $err, $rc);

	# psql may be gone before it is given the query
	eval {
		$rc = $self->psql($dbname // 'postgres', $sql, stdout => \$out,
			stderr => \$err, on_error_stop => 1);
		1;
	} or $err = $@;
	if (!defined $rc || $rc != 0)
	{
		$self->{_last_error} = $err;
		return;
	}
	return $out;
}

=pod

=item $node->error(sql, dbname)

What the server says against it; '' if it says nothing.

=cut

sub error
{
	my ($self, $sql, $dbname) = @_;
	my ($out, $err);
	my $rc = $self->psql($dbname // 'postgres', $sql, stdout => \$out,
		stderr => \$err, on_error_stop => 1);

	return $rc == 0 ? '' : $err;
}

=pod

=item $node->wait_until(sql, seconds, dbname)

Until the query says t, the server not being there counting as not yet.
False, with what it said last, when that takes longer.

=cut

sub wait_until
{
	my ($self, $sql, $seconds, $dbname) = @_;
	my $end = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	my $last;

	while (1)
	{
		$last = $self->rows($sql, $dbname);
		return 1 if defined $last && $last eq 't';
		last if time > $end;
		usleep(50_000);
	}
	diag("waited in vain for: $sql");
	diag(defined $last ? "it says: $last" : "it fails: $self->{_last_error}");
	return 0;
}

=pod

=item $node->caught_up(view, seconds, dbname)

Waits until all that is in the sources now is visible in the view; the test
dies when it does not come.

=cut

sub caught_up
{
	my ($self, $view, $seconds, $dbname) = @_;
	my $done;

	$seconds //= $PostgreSQL::Test::Utils::timeout_default;
	$done = $self->rows("SELECT streamx.wait('$view', '$seconds s')", $dbname);
	return if defined $done && $done eq 't';
	diag(defined $done ? "view $view has not caught up in $seconds s" :
		  "streamx.wait: $self->{_last_error}");
	diag($self->situation($dbname));
	croak "view $view did not catch up";
}

=pod

=item $node->situation(dbname)

What the status views say, for a failed test's report.

=cut

sub situation
{
	my ($self, $dbname) = @_;

	return join "\n", map { $self->rows($_, $dbname) // $self->{_last_error} }
	  (
		'SELECT view, state, error, rows_in, rows_out, dead_letters FROM streamx.views',
		'SELECT stream, state, error, rows_in, lag_rows FROM streamx.streams',
		'SELECT * FROM streamx.progress ORDER BY 1, 2, 3',
		q(SELECT pid, backend_type, state, wait_event, query FROM pg_stat_activity
		  WHERE backend_type LIKE 'streamx%'));
}

=pod

=item $node->same(query, query, name, dbname)

Both have the same rows, as often; a test of its own.  The first rows that
differ are shown.

=cut

sub same
{
	my ($self, $got, $expected, $name, $dbname) = @_;
	my $differences = $self->rows(
		qq{SET search_path = public;
		   WITH got AS MATERIALIZED ($got), expected AS MATERIALIZED ($expected)
		   (SELECT 'only in the first: ' || x FROM (TABLE got EXCEPT ALL TABLE expected) AS x LIMIT 10)
		   UNION ALL
		   (SELECT 'only in the second: ' || x FROM (TABLE expected EXCEPT ALL TABLE got) AS x LIMIT 10)
		}, $dbname);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($differences // $self->{_last_error}, '', $name);
}

=pod

=item $node->views_same(views, stream, table, when)

Each of the views (name => query) has caught up, and is what its query says of
the table in the stream's place; a test for each.

=cut

sub views_same
{
	my ($self, $views, $stream, $table, $when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $view (sort keys %$views)
	{
		$self->caught_up($view);
		$self->same("TABLE $view", $views->{$view} =~ s/\b$stream\b/$table AS $stream/r, "$when: $view");
	}
	return;
}

=pod

=item $node->pids(backend_type, dbname)

Of the running processes, in ascending order.

=cut

sub pids
{
	my ($self, $type, $dbname) = @_;
	my $where = defined $dbname ? "AND datname = '$dbname'" : '';

	return split /\n/, $self->rows(
		"SELECT pid FROM pg_stat_activity WHERE backend_type = '$type' $where ORDER BY 1"
	) // '';
}

=pod

=item $node->worker(dbname)

The process id of the first worker, once there is one.

=cut

sub worker
{
	my ($self, $dbname) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my @pids;

	while (time < $end)
	{
		@pids = $self->pids('streamx worker', $dbname);
		return $pids[0] if @pids;
		usleep(50_000);
	}
	croak 'no worker came up';
}

=pod

=item $node->kill_process(pid)

SIGKILL for one of the server's processes, after which the postmaster starts
all of them anew; returns when the server answers again.

=cut

sub kill_process
{
	my ($self, $pid) = @_;

	kill('KILL', $pid) == 1 or croak "process $pid has gone before it was killed";
	return $self->_await_restart($pid);
}

sub _await_restart
{
	my ($self, $pid) = @_;

	$self->{_killed}++;
	$self->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
	  or croak 'the server does not come back';
	return;
}

=pod

=item $node->kill_worker(pid)

The same; returns when another worker runs.

=cut

sub kill_worker
{
	my ($self, $pid) = @_;

	$self->kill_process($pid);
	$self->wait_until("SELECT count(*) > 0 AND bool_and(pid <> $pid) FROM pg_stat_activity WHERE backend_type = 'streamx worker'")
	  or croak 'no other worker came up';
	return;
}

=pod

=item $node->rss_kb(pid)

What a process has of its own in memory: without shared buffers.

=cut

sub rss_kb
{
	my ($self, $pid) = @_;
	my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status");
	my ($rss) = $status =~ /^RssAnon:\s+(\d+) kB/m;

	return $rss;
}

=pod

=item $node->crash

SIGKILL for the postmaster; returns when all of its processes have noticed,
so that it can be started again.

=cut

sub crash
{
	my ($self) = @_;
	my $postmaster = $self->{_pid};
	my @children = split ' ', do
	{
		local (@ARGV, $/) = ("/proc/$postmaster/task/$postmaster/children");
		<>;
	};
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	$self->kill9;
	while (time < $end)
	{
		return if !grep { kill 0, $_ } $postmaster, @children;
		usleep(20_000);
	}
	croak 'processes outlive their postmaster: '
	  . join ', ', grep { kill 0, $_ } @children;
}

=pod

=item $node->interrupt(how)

A worker, whichever, is killed ('worker'), or the postmaster ('postmaster'),
or the server is stopped in the mode of that name ('immediate', 'fast').
Returns when it is back.

=item $node->interruptions(how ...)

How many there were of these kinds, by default of all.

=cut

sub interrupt
{
	my ($self, $how) = @_;

	if ($how eq 'worker')
	{
		my $pid;

		# one may end by itself meanwhile
		do
		{
			my @workers = $self->pids('streamx worker', 'postgres');

			$pid = @workers ? $workers[ rand @workers ] : $self->worker('postgres');
		} until kill 'KILL', $pid;
		$self->_await_restart($pid);
	}
	else
	{
		$how eq 'postmaster' ? $self->crash : $self->stop($how);
		$self->start;
	}
	$self->{_interrupted}{$how}++;
	return;
}

sub interruptions
{
	my ($self, @kinds) = @_;
	my $n = 0;

	$n += $_ foreach map { $_ // 0 } @kinds ? @{ $self->{_interrupted} }{@kinds} : values %{ $self->{_interrupted} };
	return $n;
}

=pod

=item $node->through_kills(insert, check)

A course of interruptions: insert->(n) gives the SQL by which so many rows
come, check->(when) waits for what they become and compares.

=cut

sub through_kills
{
	my ($self, $insert, $check) = @_;
	my $come = sub { $self->safe_psql('postgres', $insert->($_)) foreach @_; };

	$come->(500);
	$check->('from the start');
	$self->restart;
	$come->(3);
	$check->('a few rows after a restart');
	foreach my $how (('worker') x 3, ('immediate') x 2, 'postmaster')
	{
		my $name;

		$self->worker('postgres');
		$come->(600, 601, 700);
		$self->interrupt($how);
		$name = "after an interruption: $how " . $self->interruptions($how);
		$come->(100) if $how eq 'worker';
		$check->($name);
	}
	return;
}

=pod

=item $node->row_counts(query)

Of the tables whose names the query gives: name => how many rows it has, ...

=cut

sub row_counts
{
	my ($self, $query) = @_;

	return map { ($_ => $self->safe_psql('postgres', "SELECT count(*) FROM $_")) }
	  split /\n/, $self->safe_psql('postgres', $query);
}

=pod

=item $node->log_is_clean(allowed)

A test of its own: no process of the server has crashed.  allowed: how many
were killed by the test, besides those that were killed by these methods.

=back

=cut

sub log_is_clean
{
	my ($self, $allowed) = @_;
	my @bad = grep {
		/ (?:PANIC|FATAL): |TRAP: |terminated by signal|Segmentation|double free|corrupt/
	} split /\n/, PostgreSQL::Test::Utils::slurp_file($self->logfile);
	my $killed = 0;

	@bad = grep {
		/FATAL:  (?:terminating |the database system |database .* does not exist|could not connect|connection to client lost)/
		  ? 0
		  : /terminated by signal 9: Killed/ ? $killed++ < 0 : 1
	} @bad;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	push @bad, "$killed processes were killed" if $killed != ($allowed // 0) + ($self->{_killed} // 0);
	return is(join("\n", @bad), '', 'no process of the server has crashed');
}

1;
