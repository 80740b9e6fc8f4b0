
# The documents are true: what they list of functions, views, settings and
# options is what there is, and every example in SQL runs as it stands.
#
# Examples are the blocks ```sql of README.md and docs/, run in their order, each
# file in a database of its own.  What has to be there for them, and what the
# reader does beside them, stands before a block in a comment that a reader does not see:
#
#	<!-- topic NAME PARTITIONS		a topic; the lines below it are its messages
#	<!-- sql						statements to be run before
#	<!-- listen PORT				a program listens there and sends the lines
#	<!-- error TEXT					the block has to fail, with this message
#	<!-- as ROLE					the block is run by this role, which may log in
#
# A block ```text after one of SQL is what its last query prints.  localhost:9092
# stands for the broker; a port that somebody listens on is replaced too.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxKafka;
use Test::More;

my $top = abs_path("$FindBin::RealBin/../..");
my @files = ("$top/README.md", sort glob "$top/docs/*.md");
my $kafka = StreamxKafka->new;
my $node = StreamxCluster->started('main', "timezone = 'UTC'", "shared_preload_libraries = 'streamx, streamx_syntax'");
my $bootstrap = $kafka->bootstrap;

# ---- functions, views, settings

$node->safe_psql('postgres', 'CREATE DATABASE catalog');
$node->safe_psql('catalog', 'CREATE EXTENSION streamx');
my ($made) = run_command([ 'psql', '-AtXq', '-d', $node->connstr('catalog'), '-f', "$top/docs/catalog.sql" ]);
my $stands = slurp_file("$top/docs/catalog.md");
chomp $stands;
is($stands, $made, 'docs/catalog.md is what docs/catalog.sql makes');

# ---- options

# The rows of the table below this heading: an option's name and its cells.
sub listed_rows
{
	my ($heading) = @_;
	my ($part) = slurp_file("$top/docs/options.md") =~ /^##+ \Q$heading\E\n(.*?)(?=^##|\z)/ms;
	my @columns;
	my %rows;

	die "no heading \"$heading\" in docs/options.md" if !defined $part;
	foreach ($part =~ /^\| (.*) \|$/mg)
	{
		my @cells = split / *\| */;
		my @names = $cells[0] =~ /`([^`]+)`/g;

		@columns = @cells if !@columns;
		foreach my $name (@names)
		{
			$rows{$name}{ $columns[$_] } = $cells[$_] foreach 1 .. $#cells;
		}
	}
	return \%rows;
}

sub listed
{
	my ($heading) = @_;

	return join ', ', sort keys %{ listed_rows($heading) };
}

# The names that an error about an unknown one tells.
sub known
{
	my ($sql) = @_;
	my ($names) = $node->error($sql, 'catalog') =~ /HINT:  (?:Valid options here are: |Options are )(.*?)\.$/m;

	$names //= 'no names in the hint';
	$names =~ s/ and /, /;
	return join ', ', sort split /, /, $names;
}

is(listed('Servers'), known(q(CREATE SERVER x FOREIGN DATA WRAPPER streamx OPTIONS (zzzzzzzzzzzzzzzzzzzz '1'))), 'options of servers');
is(listed('User mappings'), known(q(CREATE USER MAPPING FOR PUBLIC SERVER streamx OPTIONS (zzzzzzzzzzzzzzzzzzzz '1'))), 'options of user mappings');
is(listed('Streams'), known(q(CREATE FOREIGN TABLE x (a int) SERVER streamx OPTIONS (zzzzzzzzzzzzzzzzzzzz '1'))), 'options of streams');
is(listed('Columns'), known(q(CREATE FOREIGN TABLE x (a int OPTIONS (zzzzzzzzzzzzzzzzzzzz '1')) SERVER streamx)), 'options of columns');
is(listed('Continuous views'), known(q(CREATE VIEW x WITH (streamx.continuous, streamx.zzzzzzzzzzzzzzzzzzzz = '1') AS SELECT 1)), 'options of views');

# What an option may be, as it is told of a value that none may be, and the default
# where it is a value: one of those; statement: %s stands for the option and its value.
foreach (
	[ 'Servers', q(CREATE SERVER x FOREIGN DATA WRAPPER streamx OPTIONS (%s '%s')) ],
	[ 'Streams', q(CREATE FOREIGN TABLE x (a int) SERVER streamx OPTIONS (%s '%s')) ],
	[ 'Columns', q(CREATE FOREIGN TABLE x (a int OPTIONS (%s '%s')) SERVER streamx) ],
	[ 'Continuous views', q(CREATE VIEW x WITH (streamx.continuous, streamx.%s = '%s') AS SELECT 1) ])
{
	my ($heading, $statement) = @$_;
	my $rows = listed_rows($heading);
	my $compared = 0;

	foreach my $name (sort keys %$rows)
	{
		my $said = $node->error(sprintf($statement, qq("$name"), 'zzz'), 'catalog') // '';
		my $meaning = $rows->{$name}{meaning} =~ s/(?<=\d),(?=\d\d\d)//gr;
		my $default = $rows->{$name}{default} // '';
		my @values;

		if ($said =~ /HINT:  Use ((?:"\w+"(?:, | or )?)+)\.$/m)
		{
			@values = $1 =~ /"(\w+)"/g;
		}
		elsif ($said =~ /HINT:  Give a (?:whole )?number from (\S+) (?:to (\S+)|up)\.$/m)
		{
			@values = map { sprintf '%.0f', $_ } grep { defined } $1, $2;
		}
		foreach my $value (@values)
		{
			like($meaning, qr/(?<![\w.])\Q$value\E(?![\w.]*\d)/, "$heading, $name: $value is told");
			$compared++;
		}
		next if $default !~ /^([\w ]+?)(?: \(.*\))?$/ || $default =~ /^(?:none|for ever|the .*)$/;
		unlike($node->error('BEGIN; ' . sprintf($statement, qq("$name"), $1) . '; ROLLBACK', 'catalog'),
			qr/invalid (?:value|input)/, "$heading, $name: the default $1 is a value");
	}
	ok($compared, "$heading: values compared");
}

# ---- examples

# The blocks of a file: what they are, their text, where they stand.
sub blocks
{
	my ($file) = @_;
	my @blocks;
	my $current;
	my $line = 0;

	foreach (split /\n/, slurp_file($file))
	{
		$line++;
		if ($current)
		{
			if ($current->{kind} eq 'comment' ? s/\s*-->\s*$// : /^```\s*$/)
			{
				$current->{text} .= "$_\n" if $current->{kind} eq 'comment' && length;
				push @blocks, $current;
				undef $current;
				next;
			}
			$current->{text} .= "$_\n";
		}
		elsif (/^```(\w*)/)
		{
			$current = { kind => $1 || 'none', text => '', line => $line };
		}
		elsif (/^<!-- (topic|sql|listen|error|as)\b ?(.*)$/)
		{
			my ($verb, $rest) = ($1, $2);
			my $ends = $rest =~ s/\s*-->\s*$//;

			$current = { kind => 'comment', verb => $verb, args => $rest, text => '', line => $line };
			if ($ends)
			{
				push @blocks, $current;
				undef $current;
			}
		}
	}
	die "$file: a block has no end" if $current;
	return @blocks;
}

my %ports;
my @listeners;

# As the reader would have it, but where servers of the test are.
sub localized
{
	my ($sql) = @_;

	$sql =~ s/localhost:9092/$bootstrap/g;
	$sql =~ s/'$_'/'$ports{$_}'/g foreach keys %ports;
	$sql =~ s/\\watch.*$/;/mg;
	return $sql;
}

# A process that gives each client these lines and keeps the connection.
sub listen_and_send
{
	my ($port, $lines) = @_;
	my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp') or die "listen: $!";

	$ports{$port} = $socket->sockport;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		local $SIG{TERM} = 'DEFAULT';
		my @clients;
		while (my $client = $socket->accept)
		{
			$client->print($lines);
			$client->flush;
			push @clients, $client;
		}
		exit 0;
	}
	push @listeners, $pid;
	return;
}

foreach my $file (@files)
{
	my ($name) = $file =~ m{^\Q$top\E/(.+)\.md$};
	my $db = lc $name;
	my $expected_error;
	my $role;
	my ($ran, $printed);
	my @topics;

	$db =~ s/\W/_/g;
	my @blocks = blocks($file);
	next if !grep { $_->{kind} eq 'sql' } @blocks;
	$node->safe_psql('postgres', qq(CREATE DATABASE "$db"));
	$node->safe_psql($db, 'CREATE EXTENSION streamx') if !grep { $_->{text} =~ /CREATE EXTENSION streamx/ } @blocks;
	foreach my $block (@blocks)
	{
		my $where = "$name.md, line $block->{line}";

		if ($block->{kind} eq 'comment')
		{
			if ($block->{verb} eq 'topic')
			{
				my ($topic, $partitions) = split ' ', $block->{args};

				push @topics, $topic;
				$kafka->create_topic($topic, $partitions || 1);
				$kafka->produce($topic, 0, split /\n/, $block->{text}) if length $block->{text};
			}
			elsif ($block->{verb} eq 'listen')
			{
				listen_and_send($block->{args}, $block->{text});
			}
			elsif ($block->{verb} eq 'sql')
			{
				$node->safe_psql($db, localized($block->{text}));
			}
			elsif ($block->{verb} eq 'error')
			{
				$expected_error = $block->{args};
			}
			elsif ($block->{verb} eq 'as')
			{
				$role = $block->{args};
			}
		}
		elsif ($block->{kind} eq 'sql')
		{
			my ($out, $err) = ('', '');
			my $rc = $node->psql($db, localized($block->{text}), stdout => \$out, stderr => \$err,
				on_error_stop => 1, extra_params => [ '--no-align', '--field-separator= | ', defined $role ? ('-U', $role) : () ]);

			undef $role;

			if (defined $expected_error)
			{
				like($err, qr/\Q$expected_error\E/, "$where: the error that is told");
				undef $expected_error;
			}
			else
			{
				is($rc == 0 ? '' : $err, '', "$where: runs");
			}
			$printed = $out;
			$ran++;
		}
		elsif ($block->{kind} eq 'text' && defined $printed)
		{
			my $shown = $block->{text};
			my @rows = split /\n/, $printed;

			# headings and rules apart, only the rows count
			$shown =~ s/^.*\n[-+]+\n//;
			$shown =~ s/^\(\d+ rows?\)\n//m;
			$shown =~ s/^\s+//mg;
			$shown =~ s/\s*\|\s*/ | /g;
			$shown =~ s/\s+$//mg;
			my $n = () = $shown =~ /\n/g;
			$n++ if length $shown;
			splice @rows, 0, @rows - $n if @rows > $n;
			is(join("\n", @rows), $shown, "$where: prints that");
			undef $printed;
		}
	}
	ok($ran, "$name.md has examples");
	# what they have made stands
	my $failing = $node->safe_psql($db, "SELECT string_agg(view || ': ' || error, E'\\n') FROM streamx.views WHERE state = 'stopped'");
	is($failing, '', "$name.md: no view has stopped");
	$node->safe_psql('postgres', qq(DROP DATABASE "$db" WITH (FORCE)));
	$kafka->delete_topic($_) foreach @topics;
}

kill 'TERM', @listeners;
$node->log_is_clean;
$node->stop;
done_testing();
