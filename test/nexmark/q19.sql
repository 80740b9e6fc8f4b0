-- The ten highest bids on each auction.
SELECT *
FROM (SELECT auction, bidder, price, channel, url, date_time, extra,
             row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, url) AS rn
      FROM bid) q
WHERE rn <= 10
