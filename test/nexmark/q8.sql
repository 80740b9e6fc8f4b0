-- People who opened auctions in the window they registered in.
SELECT p.id, p.name, p.w
FROM (SELECT id, name, tumble(date_time, '10 s') AS w FROM person GROUP BY id, name, w) p
     JOIN (SELECT seller, tumble(date_time, '10 s') AS w FROM auction GROUP BY seller, w) a
       ON p.id = a.seller AND p.w = a.w
