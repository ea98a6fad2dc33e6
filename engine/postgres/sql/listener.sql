-- What a connection that listens asks.

-- still_there --
-- Tells a connection that listens from one that is silently gone.
select true
