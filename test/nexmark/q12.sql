-- Bids of each bidder by the time at which the broker took them.
SELECT bidder, tumble(date_time, '10 s') AS start, count(*) AS bids FROM bid GROUP BY bidder, start
