-- Auctions with the most bids in each hopping window.
SELECT n.w, n.auction, n.num
FROM (SELECT hop(date_time, '2 s', '10 s') AS w, auction, count(*) AS num
      FROM bid GROUP BY w, auction) n
     JOIN (SELECT w, max(num) AS num
           FROM (SELECT hop(date_time, '2 s', '10 s') AS w, auction, count(*) AS num
                 FROM bid GROUP BY w, auction) c
           GROUP BY w) m ON n.w = m.w AND n.num >= m.num
