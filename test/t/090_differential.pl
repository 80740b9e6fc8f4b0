
# Random queries over random rows: each continuous view equals the same query
# run as a batch over the rows fed so far, after each batch.  What the system
# refuses, it refuses with SQLSTATE 0A000.
#
# STREAMX_SEED=n repeats a run; STREAMX_SHAPES and STREAMX_KIND name shapes of
# queries and the kind of rows.  The long form runs ten times as many queries
# from a seed of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use StreamxQueries;
use Test::More;

use constant QUERIES_IN_A_SET => 24;

my $long = $ENV{STREAMX_LONG};
my $wanted = $ENV{STREAMX_QUERIES} // ($long ? 5000 : 500);
my $seed = $ENV{STREAMX_SEED} // ($long ? time : 20261122);
my @shapes = split / /, $ENV{STREAMX_SHAPES} // '';

my (%refusals, %made);

my $node = StreamxCluster->started('main', "TimeZone = 'UTC'", 'streamx.workers = 2');

diag("seed $seed");
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/../lib/oracle.sql"));
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA batch;
-- the watermark of each data set
CREATE TABLE batch.watermarks (source name PRIMARY KEY, watermark timestamptz NOT NULL);
CREATE FUNCTION batch.watermark(source name) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT w.watermark FROM batch.watermarks w WHERE w.source = $1 $$;
-- windows of a row that were open at its watermark
CREATE FUNCTION batch.hop(ts timestamptz, slide interval, size interval, wm timestamptz)
RETURNS SETOF timestamptz LANGUAGE sql STABLE AS
$$ SELECT w FROM hop(ts, slide, size) w WHERE w + size > wm $$;
CREATE FUNCTION batch.cumulate(ts timestamptz, step interval, size interval, wm timestamptz)
RETURNS SETOF timestamptz LANGUAGE sql STABLE AS
$$ SELECT w FROM cumulate(ts, step, size) w WHERE w > wm $$;
-- The rows of a source that count in sessions, with the number of theirs.  A
-- batch's rows make sessions of their own first; each takes in the open ones
-- that it touches, and is late if there are none and it has ended.
CREATE FUNCTION batch.sessions(source name, gap interval, key text, condition text, final boolean,
                               OUT id int, OUT session int)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  r record;
  piece int[];
  piece_first timestamptz;
  piece_last timestamptz;
  taken int;
BEGIN
  CREATE TEMP TABLE IF NOT EXISTS open_sessions (
    session int GENERATED ALWAYS AS IDENTITY, key text, first timestamptz, last timestamptz, ids int[], closed boolean);
  DELETE FROM open_sessions;
  FOR r IN EXECUTE format(
    'WITH i AS (SELECT a.id, a.ts, a.wm, a.cut, (%s)::text AS key FROM %I a WHERE %s),
          p AS (SELECT *, coalesce(ts > lag(ts) OVER w + $1, true) AS is_first FROM i WINDOW w AS (PARTITION BY cut, key ORDER BY ts)),
          n AS (SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY cut, key ORDER BY ts) AS n FROM p)
     SELECT cut, wm, key, n, min(ts) AS first, max(ts) AS last, array_agg(id) AS ids FROM n
     GROUP BY cut, wm, key, n ORDER BY cut, key, first', key, source || '_t', condition) USING gap
  LOOP
    UPDATE open_sessions o SET closed = true
    WHERE NOT o.closed AND (o.last + gap < r.wm OR final AND o.last + gap = r.wm);
    SELECT coalesce(array_agg(x), '{}') || r.ids, least(min(o.first), r.first), greatest(max(o.last), r.last), count(DISTINCT o.session)
    INTO piece, piece_first, piece_last, taken
    FROM open_sessions o, unnest(o.ids) AS x
    WHERE NOT o.closed AND o.key IS NOT DISTINCT FROM r.key AND o.first <= r.last + gap AND o.last >= r.first - gap;
    CONTINUE WHEN taken = 0 AND r.last + gap <= r.wm;
    DELETE FROM open_sessions o
    WHERE NOT o.closed AND o.key IS NOT DISTINCT FROM r.key AND o.first <= r.last + gap AND o.last >= r.first - gap;
    INSERT INTO open_sessions VALUES (DEFAULT, r.key, piece_first, piece_last, piece, false);
  END LOOP;
  RETURN QUERY SELECT x, o.session FROM open_sessions o, unnest(o.ids) AS x;
END $$;
-- Rows leave within a second; on a slow machine it may be about to.
CREATE PROCEDURE batch.settle(x name) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 5 LOOP
    EXIT WHEN 0 = (SELECT sum(d.differences) FROM oracle.views v, oracle.differences(v) d WHERE source = x);
    COMMIT;
    PERFORM pg_sleep(0.5);
    COMMIT;
  END LOOP;
END $$;
-- a view that was refused
CREATE TABLE batch.refused (view name, sqlstate text, error text);

CREATE PROCEDURE batch.view(x name, view name, query text, batch text, emit text)
LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  BEGIN
    PERFORM streamx.create_continuous_view(quote_ident(view), query, emit => emit,
                                           batch_interval => '1 ms');
    INSERT INTO oracle.views VALUES (view, x, batch);
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    INSERT INTO batch.refused VALUES (view, SQLSTATE, concat_ws(': ', SQLERRM, detail));
  END;
END $$;
SQL

sub quoted
{
	my ($text) = @_;
	return "\$q\$$text\$q\$";
}

# One data set with its views, fed cut by cut; returns the numbers of views
# made, of views refused, of rows compared, and what went wrong.
sub run_set
{
	my ($gen, $name, $wanted_kind) = @_;
	my $any = ('plain', 'clean', 'late')[ $gen->_below(3) ];
	my $kind = $wanted_kind // $any;
	my $sliding = $kind eq 'sliding';
	my $set = $gen->dataset($name, $kind);
	my @queries = map { $gen->query($set, $sliding ? 'sliding' : @shapes) } 1 .. QUERIES_IN_A_SET;
	my $options = quoted($set->options);
	my $second = $set->second;
	my $script = "SET client_min_messages = notice;\n" . $set->ddl
	  . "CALL oracle.source('$name', $options);\n"
	  . "ALTER TABLE ${name}_t ADD COLUMN wm timestamptz, ADD COLUMN cut int;\n"
	  . "CREATE VIEW ${name}_rt AS SELECT * FROM ${name}_t WHERE $second;\n"
	  . $set->second_ddl;
	my $previous = 0;
	my ($stdout, $stderr, $rc, $made, $refused, $compared, $wrong);
	my $n = 0;
	my $both;
	my $compare = "SELECT 'compared', sum(d.n), sum(d.differences) FROM oracle.views v, oracle.differences(v) d WHERE source = '$name';\n";

	foreach my $query (@queries)
	{
		$n++;
		if (my $source = $query->{source})
		{
			$query->{view} =~ s/\{v\}/${name}_v${n}_source/g;
			$script .= sprintf "CALL batch.view('%s', '%s_v%d_source', %s, %s, '%s');\n", $name, $name, $n,
			  quoted($source->{view}), quoted($source->{batch}), $source->{options} ? 'final' : 'update';
		}
		$script .= sprintf "CALL batch.view('%s', '%s_v%d', %s, %s, '%s');\n", $name, $name, $n,
		  quoted($query->{view}), quoted($query->{batch}), $query->{options} ? 'final' : 'update';
	}
	$script .= "INSERT INTO batch.watermarks VALUES ('$name', '-infinity'), ('${name}_r', '-infinity');\n";
	$both = join ', ', "''", map { "'${name}_v$_'" } grep { $queries[ $_ - 1 ]{second} } 1 .. @queries;
	if ($sliding)
	{
		my $epoch = StreamxQueries::EPOCH;

		$script .= "CREATE TEMP TABLE start AS SELECT clock_timestamp() AS t0;\n"
		  . "UPDATE ${name}_in SET ts = ts - timestamptz '$epoch' + t0 FROM start;\n";
	}
	foreach my $cut (@{ $set->{cuts} })
	{
		my $before = $set->watermark($previous);
		my $after = $set->watermark($cut);
		my $after_second = $set->watermark($cut, 1);

		if ($gen->_chance(15))
		{
			$script .= "SELECT FROM oracle.views v, streamx.pause(v.view::regclass) WHERE source = '$name';\n"
			  . "SELECT FROM oracle.views v, streamx.resume(v.view::regclass) WHERE source = '$name';\n";
		}
		$script .= <<"SQL";
BEGIN;
SELECT FROM oracle.feed('$name', $previous, $cut);
UPDATE ${name}_t SET wm = $before, cut = $cut WHERE id > $previous AND id <= $cut;
UPDATE batch.watermarks SET watermark = $after WHERE source = '$name';
UPDATE batch.watermarks SET watermark = $after_second WHERE source = '${name}_r';
WITH fed AS (INSERT INTO ${name}_r SELECT * FROM ${name}_in WHERE id > $previous AND id <= $cut AND $second RETURNING 1)
UPDATE oracle.views SET expected = expected + (SELECT count(*) FROM fed) WHERE view IN ($both);
COMMIT;
CALL oracle.wait('$name');
SQL
		$script .= "CALL batch.settle('$name');\n" if $sliding;
		$script .= $compare;
		$previous = $cut;
	}

	# in the middle between the times at which rows leave
	foreach my $s ($sliding ? (9, 15, 21) : ())
	{
		$script .= "SELECT pg_sleep(greatest(0, extract(epoch FROM t0 + interval '$s s' - clock_timestamp()))) FROM start;\n"
		  . "CALL batch.settle('$name');\n$compare";
	}
	$script .= <<"SQL";
SELECT 'refused', view, sqlstate, error FROM batch.refused;
SELECT 'view', view, state, error FROM streamx.views WHERE state IN ('stopped', 'paused');
SQL
	($rc, $stdout, $stderr) = $node->psql('postgres', $script, timeout => 180);
	$wrong = $rc == 0 ? '' : "psql ended with $rc\n";
	$refused = 0;
	$compared = 0;
	foreach my $line (split /\n/, $stdout)
	{
		my ($what, @values) = split /\|/, $line;

		next unless defined $what;
		if ($what eq 'compared')
		{
			$compared += $values[0] || 0;
			$wrong .= "$values[1] differences\n" if ($values[1] // 0) > 0;
		}
		elsif ($what eq 'refused')
		{
			$refused++;
			$wrong .= "refused otherwise than with 0A000: $line\n" if $values[1] ne '0A000';
			$values[2] =~ s{ "\w+"}{};
			$refusals{$values[2]}++;
		}
		elsif ($what eq 'view')
		{
			$wrong .= "$line\n";
		}
	}
	if ($wrong ne '')
	{
		$wrong .= join "\n", $stderr, '';
		for my $i (1 .. @queries)
		{
			next unless $wrong =~ /${name}_v$i(?:_source)?\b/;
			$wrong .= "${name}_v${i}_source: $queries[$i - 1]{source}{view}\n" if $queries[ $i - 1 ]{source};
			$wrong .= "${name}_v$i ($queries[$i - 1]{shape}): $queries[$i - 1]{view}\n  batch: $queries[$i - 1]{batch}\n";
		}
	}
	$made{ $queries[$_]{shape} }++ for 0 .. $#queries;
	$node->psql('postgres', "TRUNCATE batch.refused, oracle.views, batch.watermarks;\n"
		. "SET client_min_messages = warning;\n"
		. "DROP FOREIGN TABLE ${name}_s, ${name}_r CASCADE; DROP TABLE ${name}_t, ${name}_in, ${name}_dim CASCADE;");
	return (@queries - $refused, $refused, $compared, $wrong);
}

my ($done, $refused, $compared, $sets) = (0, 0, 0, 0);

# one set in twenty is about the clock
while ($done < $wanted && $sets < $wanted)
{
	my $gen = StreamxQueries->new($seed + $sets);
	my $kind = $ENV{STREAMX_KIND};
	my ($n, $not, $rows, $wrong);

	$kind //= 'sliding' if $sets % 20 == 3 && !@shapes;
	($n, $not, $rows, $wrong) = run_set($gen, "d$sets", $kind);
	$done += $n;
	$refused += $not;
	$compared += $rows;
	is($wrong, '', "data set $sets of seed $seed: $n views equal the batch");
	$sets++;
	last if $wrong ne '' && !$node->safe_psql('postgres', 'SELECT 1');
}
diag("$done queries over $sets data sets, $refused refused, $compared result rows compared");
diag(join ', ', map { "$_ $made{$_}" } sort keys %made);
diag("refused $refusals{$_}: $_") for sort keys %refusals;
cmp_ok($done, '>=', $wanted, "$wanted queries were run");
cmp_ok($compared, '>', 10 * $done, 'and had rows to compare');
$node->log_is_clean if $node->can('log_is_clean');
$node->stop;

done_testing();
