-- The views that the dashboard shows, over the stream clicks (ts, page, user_id, amount).

-- lines: windows of 5 seconds, each written once, when it is complete
CREATE CONTINUOUS VIEW traffic WITH (emit = 'final', retention = '10 minutes') AS
SELECT tumble(ts, '5 seconds') AS at, page, count(*) AS clicks, sum(amount) AS revenue
FROM clicks GROUP BY at, page;

-- bars: the last minute, whatever the time is
CREATE CONTINUOUS VIEW last_minute AS
SELECT page, count(*) AS clicks, sum(amount) AS revenue
FROM clicks WHERE ts > now() - interval '1 minute' GROUP BY page;

-- figures: everything so far
CREATE CONTINUOUS VIEW totals AS
SELECT count(*) AS clicks, sum(amount) AS revenue, count(DISTINCT user_id) AS users
FROM clicks;

-- table: who has spent most
CREATE CONTINUOUS VIEW best_customers AS
SELECT user_id, count(*) AS clicks, sum(amount) AS spent, max(ts) AS last_seen
FROM clicks GROUP BY user_id ORDER BY spent DESC, user_id LIMIT 10;
