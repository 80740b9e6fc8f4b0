-- The streams of the queries: persons, auctions and bids of one topic.  Of each
-- message one object is there.  Event time is the message's own.  With
-- psql's variable source (a stream or a table with its columns).
CREATE VIEW person AS
  SELECT p_id AS id, p_name AS name, p_email AS email_address, p_city AS city, p_state AS state, ts AS date_time
  FROM :source WHERE event_type = 0;
CREATE VIEW auction AS
  SELECT a_id AS id, a_item_name AS item_name, a_description AS description, a_initial_bid AS initial_bid,
         a_reserve AS reserve, ts AS date_time, a_expires AS expires, a_seller AS seller, a_category AS category
  FROM :source WHERE event_type = 1;
CREATE VIEW bid AS
  SELECT b_auction AS auction, b_bidder AS bidder, b_price AS price, b_channel AS channel, b_url AS url,
         ts AS date_time, b_extra AS extra
  FROM :source WHERE event_type = 2;
