-- Bids that are the highest of their window.
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM (SELECT *, tumble(date_time, '10 s') AS w FROM bid) b
     JOIN (SELECT tumble(date_time, '10 s') AS w, max(price) AS price FROM bid GROUP BY w) m
       ON b.w = m.w AND b.price = m.price
