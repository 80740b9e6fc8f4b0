
# A view that is computed anew beside itself: it goes on meanwhile, readers see
# the old rows until the commit, and a cancel or a crash in the middle leaves
# what was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamxCluster;
use Test::More;

my $node = StreamxCluster->started('main');

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Who has this application name stays in the query for as long as somebody
# else has the lock.
sql(q(CREATE FOREIGN TABLE s (k int, v int) SERVER streamx OPTIONS (retain '1 hour');
CREATE FUNCTION slow(v int) RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') = 'replacer' THEN
    PERFORM pg_advisory_xact_lock_shared(1);
  END IF;
  RETURN v;
END $$;
CREATE VIEW v WITH (streamx.continuous) AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW over_v WITH (streamx.continuous) AS SELECT sum(n) AS n FROM v;
INSERT INTO s SELECT i % 3, i FROM generate_series(1, 300) i;
SELECT streamx.wait('v')));
my $holder = $node->background_psql('postgres');
my $replace = q(CREATE OR REPLACE VIEW v WITH (streamx.continuous) AS
SELECT k, count(*) AS n, sum(slow(v)) AS s FROM s GROUP BY k);

# Starts the statement and waits until it is in the middle.
sub begin_replacing
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$holder->query_safe('SELECT pg_advisory_lock(1)');
	$session->query_safe("SET application_name = 'replacer'");
	$session->query_until(qr/begun/, "\\echo begun\n$statement;\n");
	ok($node->wait_until(
			q(SELECT count(*) > 0 FROM pg_stat_activity
			  WHERE application_name = 'replacer' AND wait_event_type = 'Lock')),
		'it is being computed');
	return $session;
}

sub rows
{
	return sql('SELECT sum(n) FROM v');
}

# ---- the view goes on

my $session = begin_replacing($replace);
is(sql(q(SELECT view, phase FROM streamx.catch_up)), 'v|rebuilding', 'and one can see that');
sql('INSERT INTO s SELECT i % 3, 1 FROM generate_series(1, 30) i');
is(sql(q(SELECT streamx.wait('v'), streamx.wait('over_v'))), 't|t', 'the view goes on meanwhile');
is(rows(), '330', 'with the old definition');
is(sql('TABLE over_v'), '330', 'and what reads it');
is( sql(q(SELECT count(*) FROM pg_attribute WHERE attrelid = 'v'::regclass AND attname = 's')),
	'0',
	'readers see nothing of the new one');
$holder->query_safe('SELECT pg_advisory_unlock(1)');
ok($node->wait_until(q(SELECT count(*) > 0 FROM pg_attribute WHERE attrelid = 'v'::regclass AND attname = 's')),
	'then it is there');
is(sql('SELECT sum(n), sum(s) FROM v'), (330 . '|' . (300 * 301 / 2 + 30)), 'with what came meanwhile');
sql('INSERT INTO s VALUES (1, 1)');
is(sql(q(SELECT streamx.wait('v'), streamx.wait('over_v'))), 't|t', 'it goes on');
is(sql('SELECT sum(n) FROM v'), '331', 'from there');
is(sql('TABLE over_v'), '331', 'and what reads it does');
is(sql(q(SELECT * FROM streamx.verify('v'))), '', 'it equals its query');
$session->quit;

# ---- cancelled

$session = begin_replacing(q(SELECT streamx.rebuild('v')));
sql(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'replacer'));
ok($node->wait_until(q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'replacer' AND state <> 'idle')),
	'a rebuild can be cancelled');
$holder->query_safe('SELECT pg_advisory_unlock(1)');
is(sql('SELECT count(*) FROM streamx.catch_up'), '0', 'it is no longer rebuilding');
is(rows(), '331', 'the rows are what they were');
sql('INSERT INTO s VALUES (1, 1)');
is(sql(q(SELECT streamx.wait('v'))), 't', 'and it goes on');
is(rows(), '332', 'as before');
$session->quit;

# ---- killed

$session = begin_replacing(q(CREATE OR REPLACE VIEW v WITH (streamx.continuous) AS
SELECT k, 2 * count(*) AS n, sum(slow(v)) AS s FROM s GROUP BY k));
$node->kill_process(sql(q(SELECT pid FROM pg_stat_activity WHERE application_name = 'replacer')));
eval { $session->quit; };
eval { $holder->quit; };
is(rows(), '332', 'the rows are what they were');
sql('INSERT INTO s VALUES (1, 1)');
is(sql(q(SELECT streamx.wait('v'), streamx.wait('over_v'))), 't|t', 'the view goes on');
is(rows(), '333', 'as before');
is(sql(q(SELECT * FROM streamx.verify('v'))), '', 'it equals its query');
is(sql(q(SELECT count(*) FROM pg_class WHERE relname LIKE 'streamx_rebuild%')), '0', 'nothing is left');
is(sql(q(SELECT streamx.rebuild('v'))), '', 'it can be rebuilt');
is(rows(), '333', 'as it was');

$node->log_is_clean;
$node->stop;
done_testing();
