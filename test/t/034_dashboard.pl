
# examples/dashboard.  Always: its views, and that what the dashboard asks for is
# there.  With STREAMX_LONG: the command itself, with Apache Superset, and a
# browser in which the charts have to move by themselves, as the stream does.
#
# STREAMX_SCREENSHOT names a file for the picture (docs/img/dashboard.png).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use CPAN::Meta::YAML;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxBrowser;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $example = "$FindBin::RealBin/../../examples/dashboard";

if ($ENV{STREAMX_LONG})
{
	StreamxCluster->needs_program($_) for qw(chromium chromedriver);
}

# -------------------------------------------------------------- the parts

my $node = StreamxCluster->started('main', "shared_preload_libraries = 'streamx, streamx_syntax'");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

my @views = qw(traffic last_minute totals best_customers);

sql(q{CREATE FOREIGN TABLE clicks (ts timestamptz, page text, user_id bigint, amount numeric) SERVER streamx
	OPTIONS (event_time 'ts', watermark '2 seconds', retain '1 day')});
sql(PostgreSQL::Test::Utils::slurp_file("$example/views.sql"));
$node->caught_up($_) for @views;
sql(q{INSERT INTO clicks SELECT now() - i * interval '10 ms', 'page-' || i % 7, i % 50, i % 13 FROM generate_series(1, 10000) i});
$node->caught_up($_) for @views;
foreach my $view (@views)
{
	cmp_ok(sql("SELECT count(*) FROM $view"), '>', 0, "$view has rows");
	# where the clock moves on there is nothing to compare with
	is(sql("SELECT * FROM streamx.verify('$view')"), '', 'and the right ones') if $view ne 'last_minute';
}

# The files of export/ by their identifiers.
my %files;
foreach my $path (glob("$example/export/*/*.yaml"), glob("$example/export/datasets/*/*.yaml"))
{
	my $file = CPAN::Meta::YAML->read_string(PostgreSQL::Test::Utils::slurp_file($path))->[0];
	$file->{path} = $path;
	$files{ $file->{uuid} } = $file;
}
my @datasets = grep { $_->{table_name} } values %files;
my @charts = grep { $_->{slice_name} } values %files;
my ($dashboard) = grep { $_->{dashboard_title} } values %files;

is_deeply([ sort map { $_->{table_name} } @datasets ], [ sort @views ], 'each view is a dataset');
foreach my $dataset (@datasets)
{
	my $table = $dataset->{table_name};
	is( join("\n", map { "$_->{column_name}|$_->{type}" } @{ $dataset->{columns} }),
		sql("SELECT attname, upper(format_type(atttypid, NULL)) FROM pg_attribute
			WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"),
		"the columns of $table");
	sql("SELECT $_->{expression} FROM $table") for @{ $dataset->{metrics} };
	ok($files{ $dataset->{database_uuid} }{sqlalchemy_uri}, 'its database is there');
}
foreach my $chart (@charts)
{
	my $dataset = $files{ $chart->{dataset_uuid} };
	my %params = %{ $chart->{params} };
	my %columns = map { $_->{column_name} => 1 } @{ $dataset->{columns} };
	my %metrics = map { $_->{metric_name} => 1 } @{ $dataset->{metrics} };
	my @unknown = (
		(grep { !$metrics{$_} } grep { defined } $params{metric}, $params{timeseries_limit_metric}, @{ $params{metrics} // [] }),
		(grep { !$columns{$_} } grep { defined } $params{x_axis}, @{ $params{groupby} // [] }, @{ $params{all_columns} // [] }));
	is("@unknown", '', "what the chart \"$chart->{slice_name}\" shows is in $dataset->{table_name}");
}
is_deeply(
	[ sort map { "$_->{meta}{uuid} $_->{meta}{sliceName}" } grep { ref && $_->{type} eq 'CHART' } values %{ $dashboard->{position} } ],
	[ sort map { "$_->{uuid} $_->{slice_name}" } @charts ],
	'each chart is on the dashboard');
is_deeply([ sort map { $_->{viz_type} } @charts ], [qw(big_number big_number_total echarts_timeseries_bar echarts_timeseries_line table)],
	'figures, lines, bars and a table');
my $period = $dashboard->{metadata}{refresh_frequency};
cmp_ok($period, '>', 0, 'which refreshes itself');
$node->stop;

if (!$ENV{STREAMX_LONG})
{
	done_testing();
	exit;
}

# ------------------------------------------------------- the command itself

my $build = $ENV{STREAMX_CACHE} ? "$ENV{STREAMX_CACHE}/../dashboard" : PostgreSQL::Test::Utils::tempdir("cache");
my ($out, $err) = ('', '');
my ($pg_config) = grep { -x } map { "$_/pg_config" } split /:/, $ENV{PATH};
my $run = do
{
	local $ENV{STREAMX_BUILD} = $build;
	local $ENV{PG_CONFIG} = $pg_config;
	IPC::Run::start([ "$example/run" ], '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(1500));
};

END
{
	local $?;
	if ($run)
	{
		$run->signal('TERM');
		eval { $run->finish };
	}
}

while ($run->pumpable && $out !~ /until Ctrl-C/)
{
	$run->pump;
}
my ($url) = $out =~ m{(http://127\.0\.0\.1:\d+\S+)};
my ($password) = $out =~ /user admin, password (\w+)/;
my ($psql) = $out =~ /PGPASSWORD=(psql .*|\w+ psql .*)/;
ok($url && $password && $psql, 'it tells where the dashboard is') or die "$out\n$err";

# Asks its database.
sub demo
{
	my ($answer, $error);
	my ($secret, @command) = split ' ', $psql;
	local $ENV{PGPASSWORD} = $secret;
	IPC::Run::run([ @command, '-XAtq', '-c', @_ ], '<', '/dev/null', '>', \$answer, '2>', \$error) or die "@_: $error";
	chomp $answer;
	return $answer;
}

# ---- the page ----

my $browser = StreamxBrowser->started(1280, 1040);
$browser->get($url);
ok($browser->wait_until(q{document.querySelector('input[type=password]')}, 120), 'it asks who is there');
$browser->type('#username', 'admin');
$browser->type('#password', "$password\n");
ok($browser->wait_until(q{!location.href.includes('/login')}, 60), 'and lets us in');
$browser->get($url);

# Every answer to a chart from now on, by the chart's number.
$browser->js(q{
	window.answers = {};
	const ask = window.fetch;
	window.fetch = async (...what) => {
		const answer = await ask(...what);
		const [, chart] = decodeURIComponent(answer.url).match(/chart\/data\?form_data=.*"slice_id": *(\d+)/) || [];
		if (chart)
			(window.answers[chart] ||= []).push(answer.ok ? (await answer.clone().json()).result[0].data : await answer.clone().text());
		return answer;
	};
});

my %number;		# of a chart, by its name

# Until each chart has been answered that often since.
sub refreshed
{
	my ($times, $name) = @_;
	my @counts = map { $browser->js('return (window.answers[arguments[0]] || []).length', $_) + $times } sort values %number;
	my $all = join ' && ', map { "(window.answers[$_] || []).length >= " . shift @counts } sort values %number;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($browser->wait_until($all, 120), $name);
	# until that is drawn
	sleep 2;
	return;
}

# What is on the screen, by the name of the chart: text and drawings.
sub look
{
	return $browser->js(q{
		return Object.fromEntries([...document.querySelectorAll('[data-test-chart-name]')].map(chart => [chart.dataset.testChartName, {
			number: chart.dataset.testChartId,
			text: chart.innerText,
			cells: [...chart.querySelectorAll('tbody td')].map(td => td.innerText.trim()),
			drawings: [...chart.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()),
		}]));
	});
}

# The charts that look different now.
sub moved
{
	my ($before, $now) = @_;
	return [ grep { "$before->{$_}{text}@{ $before->{$_}{drawings} }" ne "$now->{$_}{text}@{ $now->{$_}{drawings} }" } sort keys %$now ];
}

sub last_answer
{
	my ($name) = @_;
	return $browser->js('return window.answers[arguments[0]].at(-1)', $number{$name});
}

ok( $browser->wait_until(q{
		document.querySelectorAll('[data-test-chart-name]').length == 5 && document.querySelectorAll('canvas').length == 3 &&
		document.querySelectorAll('.header-line').length == 2 && document.querySelectorAll('tbody tr').length >= 10}, 120),
	'all charts are drawn')
  or die encode_json(look());
$number{$_} = look()->{$_}{number} for keys %{ look() };
my @all = sort map { $_->{slice_name} } @charts;
is_deeply([ sort keys %number ], \@all, 'they are those of the files');

# ---- the charts move by themselves: from here on nobody touches the page ----

# the lines and the bars of the last minute have something to show
refreshed(4, 'the dashboard asks again by itself');
my $clicks = demo('SELECT clicks FROM totals');
my $before = look();
my $picture = $browser->screenshot;
refreshed(3, 'and again');
my $now = look();
is_deeply(moved($before, $now), \@all, 'each chart has moved');
isnt($browser->screenshot($ENV{STREAMX_SCREENSHOT}), $picture, 'the page looks different');
foreach my $name (@all)
{
	my $different = $browser->js('return new Set(window.answers[arguments[0]].map(x => JSON.stringify(x))).size', $number{$name});
	cmp_ok($different, '>=', 3, "different answers to \"$name\"");
}
my ($shown) = $now->{'Clicks so far'}{text} =~ /^([\d,]+)$/m;
$shown =~ tr/,//d;
cmp_ok($shown, '>', $clicks, 'the figure has grown past what it was');
cmp_ok($shown, '<=', demo('SELECT clicks FROM totals'), 'and is not ahead of the database');

# ---- where nothing changes nothing moves, and what is shown is what is there ----

demo("SELECT streamx.pause('$_')") for @views;
my $end = time + 30;
usleep(200_000) while demo("SELECT bool_and(state = 'paused') FROM streamx.views") ne 't' && time < $end;
refreshed(2, 'it goes on asking while the views are paused');
$before = look();
refreshed(2, 'and again');
$now = look();
is_deeply(moved($before, $now), [], 'no chart moves');
($shown) = $now->{'Clicks so far'}{text} =~ /^([\d,]+)$/m;
$shown =~ tr/,//d;
is($shown, demo('SELECT clicks FROM totals'), 'the figure is the one in the database');
my @bars = map { "$_->{page}=$_->{clicks}" } @{ last_answer('Top pages of the last minute') };
my %there = map { $_ => 1 } split ' ', demo(q{SELECT string_agg(page || '=' || clicks, ' ') FROM last_minute});
is(join(' ', scalar(@bars), grep { !$there{$_} } @bars), '10', 'so are the bars');
my @cells = @{ $now->{'Best customers'}{cells} };
is( join(' ', map { $cells[ 4 * $_ ] . '=' . $cells[ 4 * $_ + 2 ] =~ tr/,//dr } 0 .. 9),
	demo(q{SELECT string_agg(user_id || '=' || spent, ' ' ORDER BY spent DESC) FROM best_customers}), 'and the table');

demo("SELECT streamx.resume('$_')") for @views;
refreshed(3, 'the views go on');
is_deeply(moved($now, look()), \@all, 'and each chart moves again');
my @errors = grep { /^SEVERE/ && !/scarf\.sh/ } $browser->log;
is("@errors", '', 'the browser has nothing to complain about');

# ---- nothing stays behind ----

$run->signal('TERM');
$run->finish;
is($run->full_result(0), 0, 'the command ends well');
undef $run;
is(join(' ', glob("$build/run.* $build/superset.*/")), '', 'and cleans up');
my $address = $url =~ s{(?<=\d)/.*}{/health}r;
is(HTTP::Tiny->new(timeout => 5)->get($address)->{status}, 599, 'nobody answers any more');

done_testing();
