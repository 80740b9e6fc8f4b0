
# streamx in Prometheus, with the files of examples/prometheus: the text of
# streamx.metrics() is what its own tools take, and a Prometheus that asks the
# exporter has the figures that the status views show.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Config;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

StreamxCluster->needs_program($_) for qw(promtool prometheus prometheus-postgres-exporter);

my $examples = "$FindBin::RealBin/../../examples/prometheus";
my $node = StreamxCluster->started('main', "timezone = 'UTC'");
my $dir = PostgreSQL::Test::Utils::tempdir('prometheus');
my $http = HTTP::Tiny->new(timeout => 5);
my @running;

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sub spew
{
	my ($file, $text) = @_;
	open my $fh, '>', $file or die "$file: $!";
	print $fh $text;
	close $fh or die "$file: $!";
	return;
}

# A program in the background, its output in a file; stopped at the end.
sub start
{
	my ($name, @command) = @_;
	push @running, IPC::Run::start(\@command, '<', '/dev/null', '>', "$dir/$name.out", '2>', "$dir/$name.err");
	return;
}

END
{
	$_->signal('TERM') for @running;
	$_->finish for @running;
}

sub answers
{
	my ($url) = @_;
	my $end = time + 60;

	while (time < $end)
	{
		my $response = $http->get($url);
		return 1 if $response->{success};
		usleep(100_000);
	}
	return 0;
}

my $prometheus = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
my $exporter = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();

# The value that Prometheus has for an expression, '' if it has none.
sub value
{
	my ($expression) = @_;
	my $response = $http->get("$prometheus/api/v1/query?" . $http->www_form_urlencode({ query => $expression }));
	my $result = $response->{success} ? decode_json($response->{content})->{data}{result} : [];

	return @$result ? $result->[0]{value}[1] : '';
}

sub comes
{
	my ($expression, $expected, $name) = @_;
	my $end = time + 60;
	my $value = '';

	while (time < $end && $value ne $expected)
	{
		usleep(200_000);
		$value = value($expression);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($value, $expected, $name);
	return;
}

# ---- views, one of an odd name ----

sql(q{CREATE FOREIGN TABLE clicks (ts timestamptz, page text, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0');
	CREATE VIEW pages WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
	CREATE VIEW "a ""b\c" WITH (streamx.continuous) AS SELECT 1 / n AS n FROM clicks});
$node->caught_up($_) for 'pages', '"a ""b\c"';
sql(q{INSERT INTO clicks SELECT '2024-05-01 10:00:00Z'::timestamptz + i * interval '1 s', 'p' || i % 10, i % 100 FROM generate_series(1, 1000) i});
$node->caught_up($_) for 'pages', '"a ""b\c"';

# ---- the text, and the files that we ship, for Prometheus' own parser ----

my ($out, $err);
ok(IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', \(sql('SELECT streamx.metrics()') . "\n"), '>', \$out, '2>', \$err),
	'promtool parses streamx.metrics()');
is("$out$err", '', 'and has nothing to say against it');
ok(IPC::Run::run([ 'promtool', 'check', 'config', "$examples/prometheus.yml" ], '>', \$out, '2>', \$err),
	'the configuration is one') or diag($out, $err);
like($out, qr/6 rules found/, 'with its alerts');

$node->run_log([ "$examples/textfile", $dir, $node->connstr('postgres') ]);
like(PostgreSQL::Test::Utils::slurp_file("$dir/streamx.prom"),
	qr/^streamx_view_rows_in_total\{database="postgres",view="public.pages"\} 1000$/m, 'for the textfile collector');

# ---- scraped for real ----

sql('CREATE ROLE prometheus LOGIN');
{
	local $ENV{DATA_SOURCE_NAME} = sprintf 'user=prometheus host=%s port=%s dbname=postgres', $node->host, $node->port;
	start('exporter', 'prometheus-postgres-exporter', "--extend.query-path=$examples/queries.yaml",
		'--web.listen-address=' . $exporter =~ s{^http://}{}r);
}
my $config = PostgreSQL::Test::Utils::slurp_file("$examples/prometheus.yml");
$config =~ s/localhost:9187/$exporter =~ s{^http:..}{}r/e or die;
$config =~ s/(_interval: )15s/${1}1s/g == 2 or die;
spew("$dir/prometheus.yml", $config);
spew("$dir/streamx.rules.yml", PostgreSQL::Test::Utils::slurp_file("$examples/streamx.rules.yml"));
start('prometheus', 'prometheus', "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/data",
	'--web.listen-address=' . $prometheus =~ s{^http://}{}r);
ok(answers("$exporter/metrics"), 'the exporter runs') or diag(PostgreSQL::Test::Utils::slurp_file("$dir/exporter.err"));
ok(answers("$prometheus/-/ready"), 'Prometheus runs') or diag(PostgreSQL::Test::Utils::slurp_file("$dir/prometheus.err"));

comes('streamx_view_rows_in_total{view="public.pages"}', '1000', 'rows that a view has taken in');
comes('streamx_view_dead_letters_total{view="public.\"a \"\"b\\\\c\""}', '10', 'dead letters of one with an odd name');
comes('streamx_view_state{view="public.pages",state="running"}', '1', 'its state');
comes('streamx_stream_up{stream="public.clicks",kind="native"}', '1', 'its stream');
comes('streamx_partition_next_offset{stream="public.clicks",partition="0"}', '1000', 'offsets');
comes('streamx_view_watermark_timestamp_seconds{view="public.pages"}',
	sql("SELECT extract(epoch FROM watermark)::int FROM streamx.views WHERE view = 'pages'::regclass"), 'watermark');
comes('streamx_health_problems{severity="warning"}', '1', 'problems');
comes('streamx_server_scheduler_up', '1', 'the scheduler');
sql(q{INSERT INTO clicks SELECT '2024-05-01 11:00:00Z', 'p', 1 FROM generate_series(1, 500) i});
comes('streamx_view_rows_in_total{view="public.pages"}', '1500', 'it moves');

# what the exporter shows has the names and types of streamx.metrics()
my %types;
my $text = sql('SELECT streamx.metrics()');
$types{$1} = $2 while $text =~ /^# TYPE (\S+) (\S+)$/mg;
my $scraped = $http->get("$exporter/metrics")->{content};
my %shown;
$shown{$1} = $2 while $scraped =~ /^# TYPE (streamx_\S+) (\S+)$/mg;
cmp_ok(scalar(keys %shown), '>', 25, 'the exporter shows many of them');
is_deeply(
	[ map { "$_ $shown{$_}" } grep { defined $types{$_} } sort keys %shown ],
	[ map { "$_ $types{$_}" } grep { defined $shown{$_} } sort keys %types ],
	'of the same types');

# which has no samples where there is no figure
is(join(' ', grep { !defined $types{$_} && !/^streamx_view_(sink_)?lag_rows$/ } sort keys %shown), '', 'by the same names');

# ---- an alert ----

sql(q{CREATE FOREIGN TABLE strict (a int) SERVER streamx OPTIONS (on_error 'stop');
	CREATE VIEW broken WITH (streamx.continuous) AS SELECT 1 / a AS a FROM strict});
$node->caught_up('broken');
sql('INSERT INTO strict VALUES (0)');
comes('ALERTS{alertname="StreamxViewStopped",view="public.broken",alertstate="firing"}', '1', 'a view that has stopped sets the alert off');

$node->stop;
done_testing();
