# The literal statements: however the library is loaded, switched off, where it
# cannot work, by the extended protocol; and that it takes no other text for them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $unavailable =
  'WARNING:  the statements CREATE and DROP CONTINUOUS VIEW are not available';
my $create = 'CREATE CONTINUOUS VIEW v AS SELECT page, count(*) FROM clicks GROUP BY page';
my $drop = 'DROP CONTINUOUS VIEW v';
my $seed = $ENV{STREAMX_SEED} // time;
my $node;

# Compiles a helper of test/lib.
sub build
{
	my ($binary, @args) = @_;

	$binary = PostgreSQL::Test::Utils::tempdir('build') . "/$binary";
	system_or_bail($ENV{CC} || 'cc', '-O1', '-o', $binary, @args);
	return $binary;
}

# The preloaded libraries, and lines for the configuration, from now on.
sub restart
{
	my ($libraries, @settings) = @_;

	$node->stop('fast', fail_ok => 1);
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'$libraries'");
	unlink $node->data_dir . '/postgresql.auto.conf';
	append_to_file($node->data_dir . '/postgresql.auto.conf',
		join '', map { "$_\n" } @settings);
	$node->rotate_logfile;
	$node->start;
	return;
}

sub log_text
{
	return slurp_file($node->logfile);
}

# Counts of what compare_parse() says of each text.
sub compare
{
	my (@texts) = @_;
	my $file = $node->data_dir . '/texts';
	my %counts;

	# a line each: psql's \copy would read them, the server does
	open my $out, '>', $file or die "$file: $!";
	foreach my $text (@texts)
	{
		my $line = $text;
		$line =~ s/\\/\\\\/g;
		$line =~ s/\n/\\n/g;
		$line =~ s/\r/\\r/g;
		$line =~ s/\t/\\t/g;
		print $out "$line\n";
	}
	close $out;
	$node->safe_psql('postgres',
		"DROP TABLE IF EXISTS parsed;
		 CREATE TABLE parsed (id int GENERATED ALWAYS AS IDENTITY, text text, says text);
		 COPY parsed (text) FROM '$file';
		 UPDATE parsed SET says = compare_parse(text);");
	foreach (split /\n/, $node->safe_psql('postgres',
			'SELECT says, count(*) FROM parsed GROUP BY 1'))
	{
		my ($says, $count) = split /\|/;
		$counts{$says} = $count;
	}
	return %counts;
}

sub parsed_as
{
	my ($says) = @_;
	my $escaped = $node->safe_psql('postgres',
		"SELECT encode(convert_to(text, 'UTF8'), 'hex') FROM parsed WHERE says = '$says'");

	return map { pack 'H*', $_ } split /\n/, $escaped;
}

# ---- the ways to load it ----

$node = StreamxCluster->started('main', "timezone = 'UTC'");
$node->safe_psql('postgres', 'CREATE FOREIGN TABLE clicks (page text) SERVER streamx');
like($node->error($create), qr/syntax error at or near "CONTINUOUS"/,
	'a syntax error without the library');

is($node->error("LOAD 'streamx_syntax'; $create; $drop"), '', 'taken after LOAD');
like($node->error($create), qr/syntax error/, 'and in that session only');

restart('streamx', "session_preload_libraries = 'streamx_syntax'");
is($node->error("$create; $drop"), '', 'taken with session_preload_libraries');
unlike(log_text(), qr/\Q$unavailable\E/, 'nothing to complain about');

# an installation may be without what comes beside the server
my $contrib = $node->rows("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements'");

foreach my $libraries ('streamx, streamx_syntax', 'streamx_syntax, streamx',
	$contrib ? 'pg_stat_statements, streamx_syntax, streamx, auto_explain' : ())
{
	restart($libraries);
	is($node->error("$create; INSERT INTO clicks VALUES ('a')"), '', "$libraries: create");
	$node->caught_up('v');
	is($node->rows("SELECT count FROM v WHERE page = 'a'"), '1', "$libraries: it runs");
	is($node->error("CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; $drop, m"),
		"psql:<stdin>:1: ERROR:  \"m\" is not a continuous view\n"
		  . 'HINT:  Use DROP MATERIALIZED VIEW to remove a materialized view.',
		"$libraries: only continuous views are dropped");
	is($node->rows('SELECT one FROM m; SELECT count(*) FROM v'), "1\n1", "$libraries: both stay");
	is($node->error("$drop; DROP MATERIALIZED VIEW m"), '', "$libraries: drop");
	unlike(log_text(), qr/WARNING/, "$libraries: no warning");
	restart($libraries, 'streamx_syntax.enabled = off');
	like($node->error($create), qr/syntax error at or near "CONTINUOUS"/,
		"$libraries: off from the start");
	$node->set_conf('streamx_syntax.enabled' => 'on');
	ok($node->wait_until(q{SELECT current_setting('streamx_syntax.enabled') = 'on'}),
		"$libraries: on by a reload");
	is($node->error("$create; $drop"), '', "$libraries: taken then");
}

# ---- what others see: texts as typed ----

restart($contrib ? 'streamx, pg_stat_statements, streamx_syntax' : 'streamx, streamx_syntax', "log_statement = 'ddl'");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements') if $contrib;
$node->safe_psql('postgres', "create /* my */ continuous view v as select page from clicks;");
$node->safe_psql('postgres', "drop  continuous view v;");
SKIP:
{
	skip 'pg_stat_statements is not there', 1 if !$contrib;
	is($node->rows(q{SELECT query FROM pg_stat_statements
			WHERE query ~ '^(create|drop)\s.*continuous' ORDER BY query COLLATE "C"}),
		"create /* my */ continuous view v as select page from clicks\ndrop  continuous view v",
		'pg_stat_statements has the texts as typed');
}
like(log_text(), qr{statement: create /\* my \*/ continuous view v as}, 'so has the log');

$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain;'
	  . 'GRANT SELECT ON clicks TO plain');
like($node->error('SET ROLE plain; SET streamx_syntax.enabled = off'),
	qr/permission denied to set parameter/, 'the switch is not for everybody');
is($node->error("SET ROLE plain; $create; $drop"), '', 'the statements are');

# ---- the extended protocol ----

my $script = $node->data_dir . '/script';
append_to_file($script, "$create;\n$drop;\nCREATE CONTINUOUS VIEW IF NOT EXISTS v WITH (emit = 'update') AS "
	  . "SELECT page FROM clicks;\nDROP CONTINUOUS VIEW IF EXISTS v, w;\nSELECT 1 AS continuous;\n");
foreach my $mode (qw(simple extended prepared))
{
	$node->command_ok([ 'pgbench', '-n', '-M', $mode, '-t', 5, '-f', $script,
			'-p', $node->port, '-h', $node->host, 'postgres' ], "pgbench -M $mode");
}
is($node->rows('SELECT count(*) FROM streamx.continuous_views'), '0', 'nothing is left of it');

# a tag that a client library may rely on
$node->command_like([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "$create;", '-c', "$drop;",
		'-c', 'CREATE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT page FROM clicks;',
		'-c', 'DROP CONTINUOUS VIEW IF EXISTS v;' ],
	qr/^CREATE VIEW\nDROP VIEW\nCREATE VIEW\nDROP VIEW\n$/, 'command tags');

# ---- without streamx ----

restart('streamx_syntax');
foreach my $statement ($create, $drop, 'DROP CONTINUOUS VIEW IF EXISTS v',
	'CREATE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT 1 AS one')
{
	like($node->error($statement), qr/ERROR:  streamx is not loaded\nHINT:  Add "streamx" to shared_preload_libraries/,
		"streamx is missed: $statement");
}
is($node->error('CREATE VIEW v AS SELECT 1; DROP VIEW v'), '', 'other statements are not concerned');

# ---- no other text is taken for them ----

my $probe = build('syntax_probe.so', '-shared', '-fPIC', "-I" . `pg_config --includedir-server` =~ s/\n//r,
	"$FindBin::RealBin/../lib/syntax_probe.c");
chmod 0755, $probe;
$node->safe_psql('postgres', join ';',
	"CREATE FUNCTION compare_parse(text) RETURNS text LANGUAGE c STRICT AS '$probe'",
	"CREATE FUNCTION taken_across_pages(text, text, text) RETURNS bool LANGUAGE c AS '$probe'",
	"CREATE FUNCTION keyword_table_flags() RETURNS text LANGUAGE c AS '$probe'");
is($node->rows('SELECT keyword_table_flags()'), 'r--p', 'the keyword table is protected');

# the text is read only where there is memory
foreach my $parts ([ 'create /* */ ', 'continuous view v' ], [ 'create continuous ', 'view v' ],
	[ 'create continuous /* ', '*/ view v' ])
{
	my ($first, $second) = @$parts;
	foreach my $state ([ there => 't' ], [ none => 'f' ], [ gone => 'f' ])
	{
		is($node->rows("SELECT taken_across_pages('$first', '$second', '$$state[0]')"), $$state[1],
			"\"$first\" ends a page, the other is $$state[0]");
	}
}

# every character that can surround the words
my @gaps = (' ', "\n", "\t", "\r\n", "\f", '/**/', '/*/**/*/', "/*'*/", "--\n", "-- \"x\n ",
	" /* VIEW */ ", "/* -- */", "--/*\n");
my @not_gaps = ('', '.', ',', '(', ')', ';', '+', '-', '--', '/', '*', '/*', '*/', '"', "'", '$', '$$',
	'x', '1', '_', "\x{c3}\x{a4}", '::', '=', '[', ' " ', ' /* /* */ ', ' OR ', ' - - ', ' / * ', '\\');
{
	my @good;
	my @bad;

	foreach my $first (@gaps)
	{
		foreach my $second (@gaps)
		{
			push @good, "CREATE${first}CONTINUOUS${second}VIEW v AS SELECT 1",
			  "CREATE${first}OR${second}REPLACE${first}CONTINUOUS${second}VIEW v AS SELECT 1",
			  "CREATE CONTINUOUS${first}VIEW${second}IF${first}NOT${second}EXISTS v AS SELECT 1",
			  "SELECT 1; DROP${first}CONTINUOUS${second}VIEW v;SELECT 2";
		}
		foreach my $second (@not_gaps)
		{
			push @bad, map { ("CREATE${$_}[0]CONTINUOUS${$_}[1]VIEW v AS SELECT 1",
					"DROP${$_}[0]CONTINUOUS${$_}[1]VIEW v") } [ $first, $second ], [ $second, $first ];
		}
	}
	my %counts = compare(@good);
	is_deeply(\%counts, { literal => scalar @good }, 'the statements, however spaced');
	%counts = compare(@bad);
	ok(!$counts{changed} && !$counts{literal} && %counts, 'never with anything else in between');
	diag("taken: $_") foreach parsed_as('literal');
}

# comments that cross pages, at each place of a page
{
	my @short = map { 'CREATE /*' . 'x' x $_ . "*/ CONTINUOUS /*" . 'y' x $_ . '*/ VIEW v AS SELECT 1' }
	  map { $_ * 13 } 1 .. 300;
	my @long = map { s/x{9,}/'x' x 4090/er } @short;
	my %counts = compare(@short);

	is_deeply(\%counts, { literal => 300 }, 'comments of less than a page');
	%counts = compare(@long);
	is_deeply(\%counts, { error => 300 }, 'comments of a page are too long');
}

# real texts: what the server's own scripts say
{
	my $share = `pg_config --sharedir` =~ s/\n//r;
	my @texts = map { slurp_file($_) =~ s/^\\.*$//mgr } glob("$share/extension/*.sql"), glob("$share/*.sql");
	my %counts = compare(@texts);

	is($counts{same} + ($counts{error} // 0), scalar @texts,
		'the scripts of the server and its extensions parse as ever')
	  or diag(explain(\%counts));
	cmp_ok($counts{same}, '>', 0.9 * @texts, 'most of them do parse');
}

# random texts, some of them statements
{
	my $rounds = $ENV{STREAMX_LONG} ? 300_000 : 20_000;
	my @words = (qw(create CREATE drop DROP or OR replace REPLACE continuous CONTINUOUS Continuous view VIEW
		  materialized unlogged table if not exists v t a as select from), '"continuous"', '"create"', "'continuous'",
		'$$view$$', 'E\'create\\\' continuous\'', '1', ',', '.', '(', ')', ';', '*', '-', '/', '::');
	my @names = ('continuous', 'CONTINUOUS', 'view', 'unlogged', 'materialized', 'if', 'replace', 'v', '"create"',
		't.create', 't.drop', 't.or', 't.continuous', '"continuous view"', "'create continuous view'");
	my @tables = ('continuous', 'view', 'unlogged', 'materialized', 'replace', 't', 's.create', 's.drop',
		'"create continuous view"');
	my @plain = qw(continuous CONTINUOUS view unlogged materialized if replace v);
	my @templates = (
		'SELECT N P, N AS P FROM T P WHERE N = N',
		'SELECT N FROM T AS P, T P JOIN T P ON N OR N',
		'CREATE VIEW T AS SELECT N P',
		'CREATE OR REPLACE VIEW T AS SELECT N P FROM T P',
		'CREATE OR REPLACE TEMP VIEW T (P, P) AS VALUES (N, N)',
		'CREATE MATERIALIZED VIEW IF NOT EXISTS T AS SELECT N P',
		'CREATE UNLOGGED TABLE T (P int, P P.P)',
		'DROP VIEW IF EXISTS T, T', 'DROP MATERIALIZED VIEW T CASCADE',
		'ALTER TABLE T RENAME P TO P', 'INSERT INTO T (P, P) SELECT N P FROM T',
		'CREATE SCHEMA P CREATE VIEW P AS SELECT N CREATE VIEW P AS SELECT N P',
		'DROP TABLE T; CREATE VIEW P AS SELECT N', 'GRANT create, P ON SCHEMA P TO P',
		'UPDATE T P SET P = N', 'PREPARE P AS SELECT N', 'COMMENT ON VIEW T IS \'DROP CONTINUOUS VIEW\'',
		'CREATE CONTINUOUS VIEW T AS SELECT N P', 'CREATE OR REPLACE CONTINUOUS VIEW T AS SELECT N P',
		'DROP CONTINUOUS VIEW IF EXISTS T, T', 'SELECT N P; DROP CONTINUOUS VIEW T');
	my $comment = '(?<comment>/\*(?:[^*/]++|\*(?!/)|/(?!\*)|(?&comment))*+\*/)';
	my $blank = '(?:\s|--[^\n]*\n|(?&comment))+';
	my @texts;
	my %slots = (N => \@names, T => \@tables, P => \@plain);

	srand $seed;
	note("seed $seed");
	my $any = sub { return $_[rand @_]; };
	foreach (1 .. $rounds)
	{
		my $text = $any->(@templates);

		if (rand() < 0.5)
		{
			$text = join '', map { $any->(@words), $any->(' ', ' ', @gaps) } 1 .. 2 + rand 12;
		}
		else
		{
			$text =~ s/\b([NTP])\b/$any->(@{$slots{$1}})/ge;
			$text =~ s/ /$any->(' ', ' ', @gaps)/ge if rand() < 0.7;
			# now and then a character less, more or other
			substr($text, rand length $text, int rand 2) = $any->(@words, @gaps, @not_gaps) if rand() < 0.2;
		}
		push @texts, $text;
	}
	my %counts = compare(@texts);
	note(join ', ', map { "$_: $counts{$_}" } sort keys %counts);
	is($counts{changed} // 0, 0, 'what the server takes without the library is the same with it')
	  or diag(join "\n", "seed $seed", grep { defined } (parsed_as('changed'))[ 0 .. 9 ]);
	cmp_ok($counts{same}, '>', $rounds / 5, 'many texts were such');
	cmp_ok($counts{literal}, '>', $rounds / 100, 'some were literal');
	my $literal = qr{(?(DEFINE)$comment)\b(?:create(?:${blank}or${blank}replace)?|drop)${blank}continuous${blank}view\b}i;
	my @wrong = grep { !/$literal/ }
	  parsed_as('literal');
	is("@wrong", '', 'and all of those say so') or diag("seed $seed");
}

# ---- a hardened operating system ----

my $confine = build('confine', "$FindBin::RealBin/../lib/confine.c");
foreach my $rules (qw(mdwe wx readonly))
{
  SKIP:
	{
		restart('streamx, streamx_syntax');
		$node->stop;
		$node->rotate_logfile;
		skip "the operating system does not know the rules \"$rules\"", 4
		  if system($confine, $rules, 'true') >> 8 == 77;
		system_or_bail($confine, $rules, 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
		$node->_update_pid(1);
		my $error = $node->error($create);
		if ($rules eq 'readonly')
		{
			like($error, qr/syntax error at or near "CONTINUOUS"/, "$rules: not taken");
			is($node->error($create =~ s/CONTINUOUS VIEW v/VIEW v WITH (streamx.continuous)/r),
				'', "$rules: the stock spelling is");
			is(scalar(() = log_text() =~ /\Q$unavailable\E/g), 1, "$rules: the log says so once");
			is($node->error('DROP VIEW v'), '', "$rules: dropped");
		}
		else
		{
			is($error, '', "$rules: taken");
			is($node->error($drop), '', "$rules: dropped");
			unlike(log_text(), qr/WARNING/, "$rules: no warning");
			is($node->rows('SELECT keyword_table_flags()'), 'r--p', "$rules: protected");
		}
		$node->stop;
	}
}

done_testing();
