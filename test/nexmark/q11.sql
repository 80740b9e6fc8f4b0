-- Bids of each bidder in each of his sessions.
SELECT bidder, count(*) AS bids, session(date_time, '10 s') AS start, max(date_time) AS last
FROM bid GROUP BY bidder, start
