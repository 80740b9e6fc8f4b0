
=pod

=head1 NAME

StreamxQueries - random rows and queries, from a seed

=head1 SYNOPSIS

  my $gen = StreamxQueries->new(4711);
  my $set = $gen->dataset('d1', 'late');
  my $query = $gen->query($set);

The same seed gives the same rows and queries on every machine.

A data set has rows with NULLs, duplicates and disorder, and the ends of its
batches (cuts).  Kinds:

  plain   the stream has no watermark
  clean   a watermark that no row comes after
  late    a watermark that some rows come after
  sliding for conditions on the clock: event times are such that rows leave
          windows of 10, 16 or 22 seconds 0, 6, 12, ... seconds after EPOCH,
          which the user moves to where his clock is

A part of the rows goes to a second stream as well.

A query is given twice: as it stands in the continuous view, over the stream,
and as the batch that has to give the same, over a table with the rows that
have been fed.  That table has two columns more, wm: the watermark when the
row's batch began, and cut: which batch that was.  The batch query leaves out
what the watermark shuts out.

Expressions raise no errors and have no result that depends on the order of
rows, so that a difference is a fault.

=cut

package StreamxQueries;

use strict;
use warnings;

use constant WATERMARK => 5;		# seconds

# Microseconds since then are event times.
use constant EPOCH => '2026-01-01 00:00:00Z';

sub new
{
	my ($class, $seed) = @_;
	my $self = bless { state => ($seed * 1_103_515_245 + 12_345) % 0x7ffffffe + 1 }, $class;

	# seeds that follow each other are to give sets that have nothing in common
	$self->_below(2) for 1 .. 8;
	return $self;
}

# 0 .. n - 1; the generator of Park and Miller
sub _below
{
	my ($self, $n) = @_;
	$self->{state} = ($self->{state} * 48271) % 0x7fffffff;
	return int($self->{state} / 0x7fffffff * $n);
}

sub _chance
{
	my ($self, $percent) = @_;
	return $self->_below(100) < $percent;
}

sub _pick
{
	my ($self, @from) = @_;
	return $from[ $self->_below(scalar @from) ];
}

# n different ones
sub _some
{
	my ($self, $n, @from) = @_;
	my @some;

	while (@some < $n && @from)
	{
		push @some, splice @from, $self->_below(scalar @from), 1;
	}
	return @some;
}

# ---- rows ----

my %literal = (
	i => sub { $_[0]->_below(41) - 20 },
	b => sub { ($_[0]->_below(2000) - 1000) * 1_000_003 },
	n => sub { sprintf '%.2f', ($_[0]->_below(20001) - 10000) / 100 },
	f => sub { ($_[0]->_below(401) - 200) / 4 },
	t => sub { "'" . $_[0]->_pick('a' .. 'e', '', 'B') . "'" },
	o => sub { $_[0]->_pick('true', 'false') },
	d => sub { sprintf "'2026-01-%02d'", 1 + $_[0]->_below(4) },
	z => sub { sprintf "'2026-01-01 %02d:00Z'", $_[0]->_below(5) },
	j => sub {
		sprintf "'%s'", $_[0]->_pick('1', '"x"', '{"a": 1}', '{"a": [1, 2]}', 'null', '[]');
	},
	r => sub { "'{" . join(',', map { $_[0]->_pick(1 .. 3, 'NULL') } 1 .. $_[0]->_below(3)) . "}'" },
);

my %type = (
	i => 'int', b => 'bigint', n => 'numeric', f => 'float8', t => 'text',
	o => 'boolean', d => 'date', z => 'timestamptz', j => 'jsonb', r => 'int[]');

sub dataset
{
	my ($self, $name, $kind) = @_;
	my @columns = ('id', 'ts', $self->_some(5 + $self->_below(5), sort keys %type));
	my $nrows = 20 + $self->_below(60);
	my $nulls = $self->_pick(0, 5, 30);
	my $now = 0;
	my $newest = 0;
	my (@rows, @cuts);

	# these are in every set: the queries need something to work on
	foreach my $column ('i', 't', 'n')
	{
		push @columns, $column unless grep { $_ eq $column } @columns;
	}
	foreach my $id (1 .. $nrows)
	{
		my $at;
		my @row;

		$now += $self->_below(4_000_000) unless $self->_chance(15);
		$now += 30_000_000 if $self->_chance(3);
		$at = $now;
		if ($self->_chance(30))
		{
			$at -= $self->_below(WATERMARK * 1_000_000);
		}
		elsif ($kind eq 'late' && $self->_chance(15))
		{
			$at -= $self->_below(90_000_000);
		}
		$at -= $at % 1_000_000 if $self->_chance(50);
		$at = 0 if $at < 0;
		# disorder is within the watermark
		$at = $newest - WATERMARK * 1_000_000 + 1
		  if $kind eq 'clean' && $at <= $newest - WATERMARK * 1_000_000;
		$at = (6 * $self->_below(9) - 28) * 1_000_000 if $kind eq 'sliding';
		$newest = $at if $at > $newest;
		if (@rows && $self->_chance(8))
		{
			@row = @{ $rows[ $self->_below(scalar @rows) ] };
			@row[ 0, 1 ] = ($id, $at);
		}
		else
		{
			@row = ($id, $at, map { $self->_chance($nulls) ? 'NULL' : $literal{$_}->($self) }
				  @columns[ 2 .. $#columns ]);
		}
		$row[1] = undef if $nulls && $self->_chance(3);
		push @rows, \@row;
	}
	@cuts = sort { $a <=> $b } $self->_some(1 + $self->_below(5), 1 .. $nrows - 1);
	return bless {
		name => $name,
		kind => $kind,
		columns => \@columns,
		rows => \@rows,
		cuts => [ @cuts, $nrows ],
		dimension => [ map { [ "'$_'", $literal{i}->($self) ] } 'a' .. 'd', 'd', 'x' ],
	}, 'StreamxQueries::Set';
}

package StreamxQueries::Set;

# Statements that make the table of input rows and the table to join with.
sub ddl
{
	my ($set) = @_;
	my $x = $set->{name};
	my $columns = join ', ', map {
		$_ eq 'id' ? 'id int' : $_ eq 'ts' ? 'ts timestamptz' : "$_ $type{$_}"
	} @{ $set->{columns} };
	my $rows = join ",\n", map {
		my ($id, $at, @rest) = @$_;
		'(' . join(', ', $id, _time($at), @rest) . ')'
	} @{ $set->{rows} };
	my $dimension = join ', ', map { '(' . join(', ', @$_) . ')' } @{ $set->{dimension} };

	return "CREATE TABLE ${x}_in ($columns);\nINSERT INTO ${x}_in VALUES\n$rows;\n"
	  . "CREATE TABLE ${x}_dim (k text, v int);\nINSERT INTO ${x}_dim VALUES $dimension;\n";
}

# Statements that make the second stream.
sub second_ddl
{
	my ($set) = @_;
	my $columns = join ', ', map {
		$_ eq 'id' ? 'id int' : $_ eq 'ts' ? 'ts timestamptz' : "$_ $type{$_}"
	} @{ $set->{columns} };
	return "CREATE FOREIGN TABLE $set->{name}_r ($columns) SERVER streamx " . $set->options . ";\n";
}

sub _time
{
	my ($us) = @_;
	return 'NULL' unless defined $us;
	return sprintf "timestamptz '%s' + interval '%d us'", StreamxQueries::EPOCH, $us;
}

sub options
{
	my ($set) = @_;
	return '' if $set->{kind} eq 'plain';
	return "OPTIONS (event_time 'ts')" if $set->{kind} eq 'sliding';
	return sprintf "OPTIONS (event_time 'ts', watermark '%d s', idle_timeout '0')",
	  StreamxQueries::WATERMARK;
}

# Which rows the second stream has, as SQL.
sub second
{
	return 'id % 3 <> 1';
}

# The watermark after the rows up to this id, as SQL; of the second stream.
sub watermark
{
	my ($set, $id, $second) = @_;
	my @times = grep { defined } map { $_->[1] }
	  grep { !$second || $_->[0] % 3 != 1 } @{ $set->{rows} }[ 0 .. $id - 1 ];
	my $newest;

	return "'-infinity'::timestamptz" if $set->{kind} eq 'plain' || $set->{kind} eq 'sliding' || !@times;
	($newest) = sort { $b <=> $a } @times;
	return '(' . _time($newest) . sprintf(" - interval '%d s')", StreamxQueries::WATERMARK);
}

package StreamxQueries;

# ---- expressions over a row of alias a ----

sub _has
{
	my ($set, $column) = @_;
	return scalar grep { $_ eq $column } @{ $set->{columns} };
}

sub _keys
{
	my ($self, $set, $n) = @_;
	my @from = ('a.t', 'a.i % 5', 'upper(a.t)', "coalesce(a.t, '-')", 'a.i', 'a.n', 'a.i > 0',
		"CASE WHEN a.i > 5 THEN 'high' WHEN a.i IS NULL THEN NULL ELSE 'low' END");

	foreach my $column ('o', 'd', 'z', 'r', 'f', 'b')
	{
		push @from, "a.$column" if _has($set, $column);
	}
	return $self->_some($n, @from);
}

sub _condition
{
	my ($self, $set) = @_;
	my @from = ('a.i > 3', 'a.i <> 0', "a.t = 'b'", "a.t IN ('a', 'c', 'e')", 'a.n IS NOT NULL',
		'a.i BETWEEN -10 AND 10', 'a.n > 5.5', "a.t LIKE '%a%'", 'a.i IS NULL', 'length(a.t) > 0');
	my $text;

	push @from, 'a.o', 'NOT a.o' if _has($set, 'o');
	push @from, "a.d >= '2026-01-02'" if _has($set, 'd');
	push @from, "a.j \@> '{\"a\": 1}'" if _has($set, 'j');
	$text = $self->_pick(@from);
	$text = "($text " . $self->_pick('AND', 'OR') . ' ' . $self->_pick(@from) . ')'
	  if $self->_chance(40);
	return $text;
}

sub _where
{
	my ($self, $set) = @_;
	return $self->_chance(40) ? ' WHERE ' . $self->_condition($set) : '';
}

# Aggregates that merge, and those for which rows are held.
sub _aggregates
{
	my ($self, $set, $n) = @_;
	my @merge = ('count(*)', 'count(a.t)', 'sum(a.i)', 'sum(a.n)', 'avg(a.i)', 'avg(a.n)', 'min(a.t)',
		'max(a.i)', 'min(a.n)', 'sum(a.i::bigint)', 'bool_and(a.i > 0)', 'bool_or(a.i > 10)',
		'bit_and(a.i)', 'bit_xor(a.i)', 'stddev(a.i)', 'var_pop(a.n)', 'max(a.ts)', 'min(a.id)',
		'coalesce(sum(a.i), 0) + count(*)', "max(a.n) - min(a.n)", 'count(*) > 2');
	my @distinct = ('count(DISTINCT a.t)', 'sum(DISTINCT a.i)', 'count(DISTINCT a.i)', 'avg(DISTINCT a.i)',
		'count(DISTINCT a.n)', 'sum(DISTINCT a.n)', 'count(DISTINCT a.ts)', 'count(DISTINCT (a.t, a.i))',
		'regr_count(DISTINCT a.i, a.id % 7)', 'max(DISTINCT a.t)', 'bit_xor(DISTINCT a.i)',
		'count(DISTINCT a.t) + sum(DISTINCT a.i)', 'stddev(DISTINCT a.i)', 'count(DISTINCT a.i % 3)');
	my @hold = ("string_agg(a.t, ',' ORDER BY a.id)",
		'array_agg(a.i ORDER BY a.id DESC)', 'percentile_cont(0.5) WITHIN GROUP (ORDER BY a.i)',
		'percentile_disc(0.25) WITHIN GROUP (ORDER BY a.n)', 'mode() WITHIN GROUP (ORDER BY a.t)',
		'array_agg(DISTINCT a.i ORDER BY a.i)', 'jsonb_agg(a.t ORDER BY a.id)',
		'rank(3) WITHIN GROUP (ORDER BY a.i)', '(array_agg(a.t ORDER BY a.id))[1]');
	my @from = @merge;

	push @merge, 'sum(a.f)', 'avg(a.f)', 'max(a.f)' if _has($set, 'f');
	push @merge, 'bool_and(a.o)' if _has($set, 'o');
	push @merge, 'max(a.d)' if _has($set, 'd');
	push @hold, "jsonb_object_agg(a.id, a.j ORDER BY a.id)" if _has($set, 'j');
	foreach my $column ('b', 'f', 'o', 'd', 'z', 'j', 'r')
	{
		push @distinct, "count(DISTINCT a.$column)" if _has($set, $column);
	}
	push @from, $self->_some(5, @distinct) if $self->_chance(40);
	push @from, @hold if $self->_chance(20);
	return map {
		# a filter binds to a call that stands alone
		/^\w+\([^()]*\)$/ && $self->_chance(20)
		  ? "$_ FILTER (WHERE " . $self->_condition($set) . ')' : $_
	} $self->_some($n, @from);
}

sub _having
{
	my ($self) = @_;
	return '' unless $self->_chance(25);
	return ' HAVING ' . $self->_pick('count(*) > 1', 'count(*) % 2 = 0', 'sum(a.i) > 0', 'max(a.t) IS NOT NULL');
}

# "expr AS name, ..."
sub _columns
{
	my ($prefix, @exprs) = @_;
	my $n = 0;
	return map { $n++; "$_ AS $prefix$n" } @exprs;
}

sub _names
{
	my ($prefix, $n) = @_;
	return map { "$prefix$_" } 1 .. $n;
}

# ---- windows ----

# {view, batch}: the call; end: of the window from "w"; span: seconds
sub _window
{
	my ($self, $set) = @_;
	my $size = $self->_pick(4, 10, 15, 60);
	my $kind = $self->_pick('tumble', 'tumble', 'origin', 'bin', 'trunc', 'hop', 'hop', 'cumulate');
	my $step;
	my $call;

	if ($kind eq 'hop' || $kind eq 'cumulate')
	{
		my ($n, $arguments);

		$n = $self->_pick(1, 2, 3, 5);
		$step = $kind eq 'hop' && $self->_chance(20) ? 3 : 2;
		$size = $step * $n;
		$size += 1 if $kind eq 'hop' && $self->_chance(15);
		$arguments = "a.ts, '$step s', '$size s'";
		return {
			view => "$kind($arguments)",
			batch => $set->{kind} eq 'plain' ? "$kind($arguments)" : "batch.$kind($arguments, a.wm)",
			end => $kind eq 'hop' ? "interval '$size s'" : "interval '0'",
			several => 1,
		};
	}
	$call = "tumble(a.ts, '$size s')" if $kind eq 'tumble';
	$call = "tumble(a.ts, '$size s', '2026-01-01 00:00:01Z')" if $kind eq 'origin';
	$call = "date_bin('$size s', a.ts, '2026-01-01 00:00:00Z')" if $kind eq 'bin';
	if ($kind eq 'trunc')
	{
		$size = 60;
		$call = "date_trunc('minute', a.ts)";
	}
	return { view => $call, batch => $call, end => "interval '$size s'" };
}

# What stands for the source: the stream, or the rows that count.
sub _sources
{
	my ($set, $window) = @_;
	my $x = $set->{name};
	my $where = '';

	if ($window && $set->{kind} ne 'plain')
	{
		# a row without an event time is in no window
		$where = ' WHERE a.ts IS NOT NULL';
		$where .= " AND $window->{batch} + $window->{end} > a.wm" unless $window->{several};
	}
	return ("${x}_s", "(SELECT a.* FROM ${x}_t a$where)");
}

# ---- queries ----

# View and batch from one text with {s}, {w} (the window) and {closed}; only: the
# rows of the batch that the view has.
sub _render
{
	my ($set, $shape, $text, $window, %more) = @_;
	my ($stream, $table) = _sources($set, $window);
	my %query = (shape => $shape, view => $text, batch => $text, %more);

	$query{view} =~ s/\{s\}/$stream/g;
	$query{batch} =~ s/\{s\}/$table/g;
	$query{second} = 1 if $text =~ /\{r\}/;
	$stream =~ s/_s$/_r/;
	$table =~ s/_t a/_rt a/;
	$query{view} =~ s/\{r\}/$stream/g;
	$query{batch} =~ s/\{r\}/$table/g;
	$query{view} =~ s/\{closed\}/true/g;
	if ($window)
	{
		$query{view} =~ s/\{w\}/$window->{view}/g;
		$query{batch} =~ s/\{w\}/$window->{batch}/g;
		$query{batch} =~ s/\{closed\}/$window->{closed}/g if $window->{closed};
	}
	$query{batch} = "SELECT * FROM ($query{batch}) q WHERE $query{only}" if $query{only};
	return \%query;
}

# A join of streams, as _window() gives windows; from: the FROM clause.
sub _join
{
	my ($self, $set) = @_;
	my $span = $self->_pick(0, 2, 5, 10);
	my ($left, $right) = @{ $self->_pick([ '{s}', '{s}' ], [ '{s}', '{r}' ], [ '{r}', '{s}' ]) };
	my $kind = $self->_pick('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my $on = $self->_pick('a.t = b.t AND ', 'a.t = b.t AND ', 'a.i > 0 AND a.t = b.t AND b.i < 5 AND ', '')
	  . "b.ts BETWEEN a.ts - interval '1 s' AND a.ts + interval '$span s'";
	my $now = sprintf "batch.watermark('%s')", $set->{name} . ("$left$right" =~ /r/ ? '_r' : '');

	return undef if $set->{kind} ne 'clean';
	$on = "a.t = b.t AND b.ts >= a.ts - interval '1 s' AND b.ts - a.ts <= interval '$span s'"
	  if $kind eq 'FULL JOIN';

	# unmatched rows come when the watermark has passed what they match
	return { view => '', batch => '', several => 1,
		from => "FROM $left a $kind $right b ON $on",
		closed => "(a.id IS NOT NULL AND b.id IS NOT NULL OR a.ts + interval '$span s' < $now"
		  . " OR b.ts + interval '1 s' < $now)" };
}

# A query over columns w, k, x of {v}, which may be there more than once.
sub _above
{
	my ($self, $set) = @_;

	return $self->_pick(
		'SELECT w, max(x) AS x1, count(*) AS x2 FROM {v} q GROUP BY w',
		'SELECT k, sum(x) AS x1, avg(x) AS x2, count(DISTINCT w) AS x3 FROM {v} q GROUP BY k HAVING count(*) > 1',
		'SELECT max(x) AS x1, count(*) AS x2 FROM {v} q',
		'SELECT w, k, x FROM {v} q WHERE x > 0',
		'SELECT w, k, x, row_number() OVER (PARTITION BY k ORDER BY x DESC NULLS LAST, w) AS rn FROM {v} q',
		'SELECT w, k, x FROM (SELECT w, k, x, rank() OVER (PARTITION BY w ORDER BY x DESC) AS rn FROM {v} q) r WHERE rn <= 2',
		'SELECT DISTINCT ON (k) w, k, x FROM {v} q ORDER BY k, x DESC NULLS LAST, w',
		'SELECT DISTINCT k, x FROM {v} q',
		'SELECT w, k, x FROM {v} q ORDER BY x DESC NULLS LAST, w, k LIMIT 3',
		'SELECT q.k, count(*) AS n, max(p.x) AS x1 FROM {v} q LEFT JOIN {v} p ON p.k = q.k AND p.x < q.x GROUP BY q.k',
		'SELECT k, n, count(*) AS x1 FROM (SELECT k, w, count(x) AS n FROM {v} q GROUP BY k, w) r GROUP BY k, n',
		'SELECT w, k, x FROM {v} q WHERE x >= (SELECT avg(x) FROM {v} p)',
		"SELECT q.k, q.x, m.v FROM {v} q LEFT JOIN $set->{name}_dim m ON m.v > q.x");
}

my %shapes = (
	transform => sub {
		my ($self, $set) = @_;
		my @exprs = $self->_keys($set, 1 + $self->_below(3));
		return _render($set, 'transform', 'SELECT ' . join(', ', 'a.id', _columns('c', @exprs))
			  . ' FROM {s} a' . $self->_where($set));
	},

	grouped => sub {
		my ($self, $set) = @_;
		my @keys = $self->_keys($set, 1 + $self->_below(2));
		my @aggs = $self->_aggregates($set, $self->_below(4));
		return _render($set, 'grouped', 'SELECT ' . join(', ', _columns('k', @keys), _columns('x', @aggs))
			  . ' FROM {s} a' . $self->_where($set) . ' GROUP BY ' . join(', ', _names('k', scalar @keys))
			  . $self->_having);
	},

	total => sub {
		my ($self, $set) = @_;
		my @aggs = $self->_aggregates($set, 1 + $self->_below(4));
		return _render($set, 'total', 'SELECT ' . join(', ', _columns('x', @aggs)) . ' FROM {s} a'
			  . $self->_where($set));
	},

	window => sub {
		my ($self, $set) = @_;
		my $window = $self->_window($set);
		my @keys = $self->_keys($set, $self->_below(3));
		my @aggs = $self->_aggregates($set, 1 + $self->_below(3));
		my $having = $self->_having;
		my %more;

		if ($set->{kind} ne 'plain' && $self->_chance(40))
		{
			%more = (options => ", emit => 'final'",
				only => "w + $window->{end} <= batch.watermark('$set->{name}')");
		}
		return _render($set, $more{options} ? 'final' : 'window',
			'SELECT ' . join(', ', '{w} AS w', _columns('k', @keys), _columns('x', @aggs))
			  . ' FROM {s} a' . $self->_where($set) . ' GROUP BY '
			  . join(', ', 'w', _names('k', scalar @keys)) . $having, $window, %more);
	},

	session => sub {
		my ($self, $set) = @_;
		my $gap = $self->_pick(2, 3, 5, 10);
		my @keys = $self->_some($self->_below(2), 'a.t', 'a.i > 0', 'a.i % 3');
		my @aggs = $self->_aggregates($set, 1 + $self->_below(3));
		my $w = "session(a.ts, '$gap s')";
		my $window = { view => $w, batch => $w, several => 1,
			closed => "max(a.ts) + interval '$gap s' <= batch.watermark('$set->{name}')" };
		my $final = $set->{kind} eq 'clean' && $self->_chance(30);

		return undef if $set->{kind} eq 'late';
		return _render($set, 'session',
			'SELECT ' . join(', ', '{w} AS w', _columns('k', @keys), _columns('x', @aggs))
			  . ' FROM {s} a' . $self->_where($set) . ' GROUP BY '
			  . join(', ', 'w', _names('k', scalar @keys))
			  . ($final ? ' HAVING {closed}' : $self->_having), $window,
			$final ? (options => ", emit => 'final'") : ());
	},

	# sessions of rows that come late: which count, and in which session, the
	# batch has to be told
	late_session => sub {
		my ($self, $set) = @_;
		my $gap = $self->_pick(2, 3, 5, 10, 40);
		my @keys = $self->_some($self->_below(2), 'a.t', 'a.i > 0', 'a.i % 3');
		my @aggs = $self->_aggregates($set, 1 + $self->_below(3));
		my $condition = $self->_chance(40) ? $self->_condition($set) : 'true';
		my $names = join ', ', _names('k', scalar @keys);
		my $columns = join ', ', _columns('k', @keys), _columns('x', @aggs);
		my $final = $self->_chance(40);
		my $having = $final ? '' : $self->_having;
		my (%query, $sessions);

		return undef if $set->{kind} ne 'late' || grep { !defined $_->[1] } @{ $set->{rows} };
		$sessions = sprintf "batch.sessions('%s', '%d s', \$k\$%s\$k\$, \$c\$%s\$c\$, %s)", $set->{name}, $gap,
		  @keys ? $keys[0] : "''", $condition, $final ? 'true' : 'false';
		%query = (shape => 'late_session',
			view => "SELECT session(a.ts, '$gap s') AS w, $columns FROM $set->{name}_s a WHERE $condition GROUP BY "
			  . join(', ', 'w', $names || ()) . $having,
			batch => "SELECT min(a.ts) AS w, $columns FROM $set->{name}_t a JOIN $sessions z ON z.id = a.id GROUP BY "
			  . join(', ', 'z.session', $names || ()) . $having);
		if ($final)
		{
			$query{options} = ", emit => 'final'";
			$query{batch} .= " HAVING max(a.ts) + interval '$gap s' <= batch.watermark('$set->{name}')";
		}
		return \%query;
	},

	# rows leave as time passes
	sliding => sub {
		my ($self, $set) = @_;
		my $span = "interval '" . $self->_pick('10 s', '10 s', '16 s', '22 s', '1 hour') . "'";
		my ($key) = $self->_keys($set, 1);
		my @aggs = $self->_aggregates($set, 1 + $self->_below(3));
		my ($agg) = $self->_pick('count(*)', 'sum(a.i)', 'max(a.i)', 'count(DISTINCT a.t)');
		my $kind = $self->_pick('rows', 'groups', 'groups', 'total', 'joined', 'levels', 'levels', 'cascaded', 'pairs');
		my $from = 'FROM {s} a' . ($kind eq 'joined' ? " JOIN $set->{name}_dim m ON m.k = a.t" : '')
		  . ' WHERE ' . $self->_pick("a.ts > now() - $span", "now() - $span < a.ts", "a.ts >= current_timestamp - $span")
		  . ($self->_chance(40) ? ' AND ' . $self->_condition($set) : '');
		my $below = "SELECT a.i % 3 AS w, $key AS k, $agg AS x $from GROUP BY 1, 2";
		my $query;

		return undef if $set->{kind} ne 'sliding';
		return _render($set, 'sliding', 'SELECT ' . join(', ', 'a.id', _columns('c', $key, 'a.i')) . " $from")
		  if $kind eq 'rows';
		return _render($set, 'sliding', 'SELECT ' . join(', ', _columns('x', @aggs)) . " $from")
		  if $kind eq 'total';
		return _render($set, 'sliding', 'SELECT ' . join(', ', "$key AS k", _columns('x', @aggs))
			  . " $from GROUP BY k" . $self->_having) if $kind eq 'groups';
		return _render($set, 'sliding', 'SELECT ' . join(', ', "$key AS key", 'm.v', _columns('x', @aggs))
			  . " $from GROUP BY key, m.v") if $kind eq 'joined';
		if ($kind eq 'pairs')
		{
			$from =~ s/ WHERE / JOIN {s} b ON a.t = b.t AND a.i = b.i WHERE /;
			return _render($set, 'sliding', "SELECT a.id, b.id AS other, b.n $from") if $self->_chance(30);
			$below =~ s/count\(\*\)/count(b.id)/;
			$below =~ s/FROM .*(?= GROUP)/$from/;
		}
		$query = { shape => 'sliding', view => $self->_above($set) };
		if ($kind eq 'levels' || $kind eq 'pairs')
		{
			$query->{view} =~ s/\{v\}/($below)/g;
			return _render($set, 'sliding', $query->{view});
		}
		$query->{source} = _render($set, 'source', $below);
		$query->{batch} = $query->{view};
		$query->{batch} =~ s/\{v\}/($query->{source}{batch})/g;
		return $query;
	},

	sets => sub {
		my ($self, $set) = @_;
		my @keys = ($self->_keys($set, 2));
		my @aggs = $self->_aggregates($set, 1 + $self->_below(2));
		my $by = $self->_pick('ROLLUP (k1, k2)', 'CUBE (k1, k2)', 'GROUPING SETS ((k1), (k2))',
			'GROUPING SETS ((k1, k2), ())', 'k1, ROLLUP (k2)');

		# the names of the select list are none of its own input's
		return _render($set, 'sets',
			'SELECT k1, k2, grouping(k1, k2) AS g, ' . join(', ', _columns('x', @aggs))
			  . " FROM (SELECT a.*, $keys[0] AS k1, $keys[1] AS k2 FROM {s} a" . $self->_where($set)
			  . ") a GROUP BY $by");
	},

	distinct => sub {
		my ($self, $set) = @_;
		return _render($set, 'distinct', 'SELECT DISTINCT '
			  . join(', ', _columns('k', $self->_keys($set, 1 + $self->_below(3))))
			  . ' FROM {s} a' . $self->_where($set));
	},

	latest => sub {
		my ($self, $set) = @_;
		my ($key) = $self->_keys($set, 1);
		my $order = $self->_pick('a.id DESC', 'a.i, a.id', 'a.n DESC NULLS LAST, a.id');
		return _render($set, 'latest', "SELECT DISTINCT ON ($key) $key AS k, a.id, a.i, a.t FROM {s} a"
			  . $self->_where($set) . " ORDER BY $key, $order");
	},

	ranked => sub {
		my ($self, $set) = @_;
		my ($key) = $self->_keys($set, 1);
		my $n = $self->_pick(1, 2, 3);
		return _render($set, 'ranked', "SELECT k, id, i, rn FROM (SELECT $key AS k, a.id, a.i, "
			  . "row_number() OVER (PARTITION BY $key ORDER BY a.i DESC NULLS LAST, a.id) AS rn FROM {s} a"
			  . $self->_where($set) . ") q WHERE rn <= $n");
	},

	levels => sub {
		my ($self, $set) = @_;
		my $windowed = $self->_chance(50);
		my $window = $windowed ? $self->_window($set) : undef;
		my ($inner) = $windowed ? '{w}' : $self->_keys($set, 1);
		my ($key) = $self->_keys($set, 1);
		my ($agg) = $self->_pick('count(*)', 'sum(a.i)', 'max(a.i)', 'count(DISTINCT a.i)');
		my $outer = $self->_pick(
			'SELECT w, max(x) AS x1, count(*) AS x2 FROM {q} q GROUP BY w',
			'SELECT k, sum(x) AS x1, avg(x) AS x2 FROM {q} q GROUP BY k HAVING count(*) > 1',
			'SELECT max(x) AS x1, count(*) AS x2 FROM {q} q',
			'SELECT w, k, x, row_number() OVER (PARTITION BY w ORDER BY x DESC NULLS LAST, k) AS rn FROM {q} q',
			'SELECT w, k, x FROM (SELECT w, k, x, rank() OVER (PARTITION BY w ORDER BY x DESC) AS rn FROM {q} q) r WHERE rn <= 2',
			'SELECT w, k, x, lag(x) OVER (PARTITION BY k ORDER BY w) AS previous FROM {q} q',
			'SELECT DISTINCT ON (w) w, k, x FROM {q} q ORDER BY w, x DESC NULLS LAST, k',
			'SELECT DISTINCT k, x FROM {q} q',
			'SELECT w, k, x FROM {q} q ORDER BY x DESC NULLS LAST, w, k LIMIT 3',
			'SELECT w, k, x::numeric / nullif(sum(x) OVER (PARTITION BY w), 0) AS share FROM {q} q');

		$outer =~ s/\{q\}/(SELECT $inner AS w, $key AS k, $agg AS x FROM {s} a GROUP BY w, k)/;
		return _render($set, 'levels', $outer, $window);
	},

	joined => sub {
		my ($self, $set) = @_;
		my $dim = "$set->{name}_dim";
		my $join = $self->_pick("JOIN $dim m ON m.k = a.t", "LEFT JOIN $dim m ON m.k = a.t",
			"LEFT JOIN $dim m ON m.k = a.t AND m.v > a.i",
			"CROSS JOIN LATERAL (SELECT max(v) AS v, count(*) AS n FROM $dim m WHERE m.v < a.i) m",
			"LEFT JOIN LATERAL (SELECT v FROM $dim m WHERE m.k = a.t ORDER BY v DESC LIMIT 1) m ON true");

		if ($self->_chance(50))
		{
			return _render($set, 'joined', "SELECT a.id, a.t, m.v FROM {s} a $join" . $self->_where($set));
		}
		return _render($set, 'joined', 'SELECT m.v, ' . join(', ', _columns('x', $self->_aggregates($set, 2)))
			  . " FROM {s} a $join" . $self->_where($set) . ' GROUP BY m.v');
	},

	united => sub {
		my ($self, $set) = @_;
		my $other = $self->_pick('{s}', '{r}', '{r}');
		my $branch = 'SELECT a.id, a.t AS k, a.i AS v FROM {s} a' . $self->_where($set)
		  . " UNION ALL SELECT -a.id, upper(a.t), a.i + 1 FROM $other a" . $self->_where($set);
		return _render($set, 'united', $branch) if $self->_chance(40);
		return _render($set, 'united',
			"SELECT k, count(*) AS x1, sum(v) AS x2, max(id) AS x3 FROM ($branch) u GROUP BY k");
	},

	related => sub {
		my ($self, $set) = @_;
		my $join = $self->_join($set) or return undef;
		my $text = $self->_chance(70) ? 'SELECT a.id, b.id AS other, a.i, b.n'
		  : 'SELECT a.t AS k, count(*) AS x1, count(b.id) AS x2, sum(a.i) AS x3';

		return _render($set, 'related', "$text $join->{from} WHERE {closed}"
			  . ($text =~ /count/ ? ' GROUP BY k' : ''), $join);
	},

	# levels over a join
	matched => sub {
		my ($self, $set) = @_;
		my $join = $self->_join($set) or return undef;
		my ($key) = $self->_chance(25) ? "tumble(a.ts, '10 s')" : $self->_keys($set, 1);
		my ($agg) = $self->_pick('count(*)', 'sum(b.i)', 'max(b.n)', 'count(b.id)', 'count(DISTINCT b.i)');
		my $group = "(SELECT $key AS k, b.i > 0 AS p, $agg AS x $join->{from} WHERE {closed} GROUP BY k, p)";
		my $rows = "(SELECT $key AS k, a.id, b.id AS other, b.i AS x $join->{from} WHERE {closed})";
		my $text = $self->_pick(
			"SELECT k, sum(x) AS x1, count(*) AS x2 FROM $group q GROUP BY k",
			"SELECT p, max(x) AS x1, count(*) AS x2 FROM $group q GROUP BY p HAVING count(*) > 1",
			"SELECT min(x) AS x1, max(x) AS x2, count(*) AS x3 FROM $group q",
			"SELECT k, p, x, rank() OVER (PARTITION BY p ORDER BY x DESC NULLS LAST) AS r FROM $group q",
			"SELECT k, p, x FROM $group q ORDER BY x DESC NULLS LAST, k, p LIMIT 3",
			"SELECT DISTINCT x FROM $group q",
			"SELECT DISTINCT ON (k) k, id, other, x FROM $rows q ORDER BY k, x DESC NULLS LAST, id, other",
			"SELECT k, id, other FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x NULLS FIRST, id DESC, other) AS rn FROM $rows q) r WHERE rn <= 2",
			"SELECT k, id, x, sum(x) OVER (PARTITION BY k ORDER BY id, other) AS x1 FROM $rows q",
			"SELECT q.k, q.p, q.x, c.n FROM $group q LEFT JOIN (SELECT $key AS k, count(*) AS n FROM {s} a WHERE a.ts IS NOT NULL GROUP BY 1) c ON c.k = q.k",
			"SELECT p, count(*) AS n FROM $group q WHERE x > (SELECT avg(x) FROM $group r) GROUP BY p");

		return _render($set, 'matched', $text, $join);
	},

	# a view over the result of another; {v} is the name of that
	cascaded => sub {
		my ($self, $set) = @_;
		my ($key) = $self->_keys($set, 1);
		my ($agg) = $self->_pick('count(*)', 'sum(a.i)', 'max(a.i)', 'min(a.n)', 'count(DISTINCT a.t)');
		my $kind = $self->_pick('groups', 'groups', 'window', 'window', 'rows', 'first');
		my $where = $self->_where($set);
		my ($source, $outer, %query);

		if ($kind eq 'window')
		{
			my $window = $self->_window($set);
			my %more;

			%more = (options => ", emit => 'final'",
				only => "w + $window->{end} <= batch.watermark('$set->{name}')")
			  if $set->{kind} ne 'plain' && $self->_chance(40);
			$source = _render($set, 'source', "SELECT {w} AS w, $key AS k, $agg AS x FROM {s} a$where GROUP BY w, k"
				  . $self->_having, $window, %more);
		}
		elsif ($kind eq 'groups')
		{
			$source = _render($set, 'source', "SELECT a.i % 3 AS w, $key AS k, $agg AS x FROM {s} a$where GROUP BY 1, 2"
				  . $self->_having);
		}
		elsif ($kind eq 'rows')
		{
			$source = _render($set, 'source', "SELECT a.id AS w, $key AS k, a.i AS x FROM {s} a$where");
		}
		else
		{
			$source = _render($set, 'source', "SELECT DISTINCT ON ($key) a.id AS w, $key AS k, a.i AS x FROM {s} a$where"
				  . " ORDER BY $key, a.i, a.id");
		}
		$outer = $self->_above($set);
		%query = (shape => 'cascaded', view => $outer, batch => $outer, source => $source);
		$query{batch} =~ s/\{v\}/($source->{batch})/g;
		return \%query;
	},

	nested => sub {
		my ($self, $set) = @_;
		my ($key) = $self->_keys($set, 1);
		my @aggs = $self->_aggregates($set, 2);
		return _render($set, 'nested', 'WITH a AS (SELECT * FROM {s} a' . $self->_where($set)
			  . ") SELECT $key AS k, " . join(', ', _columns('x', @aggs)) . ' FROM a GROUP BY 1'
			  . $self->_having);
	},
);

sub query
{
	my ($self, $set, @only) = @_;
	my $shape = $self->_pick(@only ? @only : (sort(keys %shapes), ('window') x 3, 'grouped'));

	# a shape that the set is not for makes room for another
	return $shapes{$shape}->($self, $set) || $shapes{grouped}->($self, $set);
}

sub shapes
{
	return sort keys %shapes;
}

1;
