-- The join is a view, what ranks its rows another.
CREATE VIEW q9_bids WITH (streamx.continuous) AS
SELECT a.id, a.item_name, b.auction, b.bidder, b.price, b.date_time AS bid_time
FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires;
CREATE VIEW q9 WITH (streamx.continuous) AS
SELECT id, item_name, auction, bidder, price, bid_time
FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY price DESC, bid_time, bidder) AS rn FROM q9_bids) q
WHERE rn = 1;
