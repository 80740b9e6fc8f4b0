-- The join and its groups are a view, what is above them another.
CREATE VIEW q4_winning WITH (streamx.continuous) AS
SELECT a.id, a.category, max(b.price) AS final
FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
GROUP BY a.id, a.category;
CREATE VIEW q4 WITH (streamx.continuous) AS SELECT category, avg(final) FROM q4_winning GROUP BY category;
