
# Generator streams: so many rows, each once, through restarts and crashes,
# and the same ones for everybody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = StreamxCluster->started('main', "timezone = 'UTC'", 'streamx.max_batch_rows = 10000');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# ---- all at once

sql(<<'SQL');
CREATE SERVER gen TYPE 'generator' FOREIGN DATA WRAPPER streamx;
CREATE FOREIGN TABLE g (n bigint OPTIONS (expression 'n'), i int, f float8, t text, b boolean, ts timestamptz, u uuid, d date)
  SERVER gen OPTIONS (rows_per_second '0', total '123456', seed '7');
CREATE VIEW g_total WITH (streamx.continuous) AS SELECT count(*), sum(n), min(n), max(n) FROM g;
CREATE VIEW g_rows WITH (streamx.continuous) AS SELECT * FROM g;
SQL
$node->caught_up('g_total');
$node->caught_up('g_rows');
is(sql('TABLE g_total'), join('|', 123456, 123456 * 123455 / 2, 0, 123455), 'total: so many rows, numbered from 0');
is(sql('SELECT count(*), count(DISTINCT n), count(i), count(f), count(t), count(b), count(ts), count(u), count(d) FROM g_rows'),
	join('|', (123456) x 9), 'columns of every type have values');

# the same again
sql(<<'SQL');
CREATE FOREIGN TABLE same (n bigint OPTIONS (expression 'n'), i int, f float8, t text, b boolean, ts timestamptz, u uuid, d date)
  SERVER gen OPTIONS (rows_per_second '0', total '123456', seed '7');
CREATE FOREIGN TABLE other (n bigint OPTIONS (expression 'n'), i int, f float8, t text, b boolean, ts timestamptz, u uuid, d date)
  SERVER gen OPTIONS (rows_per_second '0', total '123456', seed '8');
CREATE VIEW later_rows WITH (streamx.continuous) AS SELECT * FROM g;
CREATE VIEW same_rows WITH (streamx.continuous) AS SELECT * FROM same;
CREATE VIEW other_rows WITH (streamx.continuous) AS SELECT * FROM other;
SQL
$node->caught_up($_) foreach qw(later_rows same_rows other_rows);
$node->same('TABLE g_rows', 'TABLE later_rows', 'a view created later has the same rows');
$node->same('SELECT n, i, f, t, b, u FROM g_rows', 'SELECT n, i, f, t, b, u FROM same_rows', 'the same seed, the same values');
cmp_ok(sql('SELECT count(*) FROM g_rows AS a JOIN other_rows AS b USING (n) WHERE a.u = b.u'), '<', 100, 'another seed, other values');
is(sql(q(SELECT string_agg(difference, E'\n') FROM streamx.verify('g_total'))), '', 'streamx.verify');
like($node->error('SELECT * FROM g'), qr/HINT/, 'SELECT is refused with a hint');

# ---- at a rate, through restarts and crashes

my $total = 60_000;
my $began = time;
sql(<<"SQL");
CREATE FOREIGN TABLE r (n bigint OPTIONS (expression 'n'), page text OPTIONS (expression '''page '' || n % 10'))
  SERVER gen OPTIONS (rows_per_second '5000', total '$total');
CREATE VIEW r_total WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM r;
CREATE VIEW r_pages WITH (streamx.continuous) AS SELECT page, count(*) FROM r GROUP BY page;
CREATE VIEW r_rows WITH (streamx.continuous) AS SELECT n FROM r;
SQL
ok($node->wait_until('SELECT count > 1000 FROM r_total'), 'it runs');
my $came = sql('SELECT count FROM r_total');
cmp_ok($came, '<=', 5000 * (time - $began), '... no faster than its rate');
$node->restart;
my $before = sql('SELECT count FROM r_total');
ok($node->wait_until("SELECT count > $before OR count = $total FROM r_total"), 'it goes on after a restart');
foreach (1 .. 2)
{
	$node->interrupt('immediate');
	usleep(300_000);
	$node->worker('postgres');
	usleep(rand(500_000));
	$node->interrupt('worker');
	$node->interrupt('postmaster');
}
ok($node->wait_until("SELECT count >= $total FROM r_total"), 'it comes to its end');
$node->caught_up($_) foreach qw(r_total r_pages r_rows);
is(sql('TABLE r_total'), join('|', $total, $total * ($total - 1) / 2), 'each row counts once');
is(sql('SELECT count(*), min(count), max(count) FROM r_pages'), join('|', 10, $total / 10, $total / 10), '... in groups');
is(sql('SELECT count(*), count(DISTINCT n) FROM r_rows'), "$total|$total", '... and as rows');

$node->log_is_clean;
$node->stop;
done_testing();
