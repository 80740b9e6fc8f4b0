
# examples/live: the page follows the view, in a real browser.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use HTTP::Tiny;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxBrowser;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $server = "$FindBin::RealBin/../../examples/live/server";

if (system('/usr/bin/python3 -c "import psycopg2" 2>/dev/null') != 0)
{
	die "python3-psycopg2 is not installed\n" if $ENV{CI};
	plan skip_all => 'python3-psycopg2 is not installed';
}

my $browser = StreamxBrowser->started(900, 600);
my $node = StreamxCluster->started('main');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

sql(q{CREATE FOREIGN TABLE clicks (page text, amount int) SERVER streamx;
	CREATE VIEW page_stats WITH (streamx.continuous, streamx.notify = 'page_stats') AS
		SELECT page, count(*) AS n, sum(amount) AS total FROM clicks GROUP BY page});
$node->caught_up('page_stats');
sql(q{INSERT INTO clicks VALUES ('a', 1), ('b', 2), ('<i>', 3)});
$node->caught_up('page_stats');

my ($out, $err) = ('', '');
my $live = IPC::Run::start([ $server, '--port=0', '--order=page COLLATE "C"', '--dsn', $node->connstr('postgres'), 'page_stats' ],
	'<', '/dev/null', '>', \$out, '2>', \$err);

END
{
	local $?;
	if ($live)
	{
		$live->signal('TERM');
		$live->finish;
	}
}

my $end = time + 30;
while ($out !~ /\n/ && time < $end)
{
	$live->pump_nb;
	usleep(50_000);
}
like($out, qr{^http://127\.0\.0\.1:\d+/$}, 'the server tells where it is') or die $err;
my ($url) = split /\n/, $out;

# What the table shows, row by row.
my $shown = q{[...document.querySelectorAll('tbody tr')].map(tr => [...tr.cells].map(td => td.textContent).join('|')).join(' ')};

sub shows
{
	my ($expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($browser->wait_until("$shown == '$expected'", 30), $name) or diag($err);
	return;
}

# Requests that the page has made for the rows, and what the server was asked.
my $requests = q{return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/rows')).length};

$browser->get($url);
shows('<i>|1|3 a|1|1 b|1|2', 'the page shows the view');
is($browser->js(q{return [...document.querySelectorAll('th')].map(th => th.textContent).join(' ')}), 'page n total', 'its columns');

# ---- it follows ----

my $before = $browser->screenshot;
sql(q{INSERT INTO clicks VALUES ('a', 10), ('c', 5)});
shows('<i>|1|3 a|2|11 b|1|2 c|1|5', 'what changes is shown');
is($browser->js(q{return [...document.querySelectorAll('td.changed')].map(td => td.textContent).join(' ')}), '2 11',
	'and only that is marked');
isnt($browser->screenshot, $before, 'so that it can be seen');
sql(q{INSERT INTO clicks SELECT 'd', 1 FROM generate_series(1, 1000)});
shows('<i>|1|3 a|2|11 b|1|2 c|1|5 d|1000|1000', 'and again');

# ---- nobody asks while nothing changes ----

# what it asked for when it was told of the last change may still be on its way
my $count;
my $later = $browser->js($requests);
foreach (1 .. 20)
{
	$count = $later;
	sleep 2;
	$later = $browser->js($requests);
	last if $later == $count;
}
is($later, $count, 'the page asks for nothing while nothing happens');
cmp_ok($count, '>=', 3, 'it has asked after each change');

# ---- the database goes away and comes back ----

$node->restart;
sql(q{INSERT INTO clicks VALUES ('e', 1)});
shows('<i>|1|3 a|2|11 b|1|2 c|1|5 d|1000|1000 e|1|1', 'it goes on after the database has been restarted');

# ---- what else is asked ----

my $http = HTTP::Tiny->new(timeout => 10);
is($http->get("${url}server")->{status}, 404, 'there is nothing else to be had');
sql('DROP VIEW page_stats');
is($http->get("${url}rows")->{status}, 503, 'a view that is gone is an error');
like($http->get("${url}rows")->{content}, qr/relation "page_stats" does not exist/, 'that says so');

$node->stop;
done_testing();
