#!lua
-- sample(prefix; now_ms|0, every_s, kept) -> 1|0
-- Keeps what the plots show of this moment, at most once in so long, whoever asks: what waits and since when, what was delivered, calls of the
-- last minute, dead letters. Not while memory is full: it can be done without.
local P = KEYS[1]
if not redis.call('SET', P .. 'samples:taken', 1, 'NX', 'EX', ARGV[2]) then return 0 end
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local pending, delivered, oldest = 0, 0, nil
local waiting = redis.call('ZRANGE', P .. 'waiting', 0, 0, 'WITHSCORES')
if waiting[2] then oldest = tonumber(waiting[2]) end
for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do
  local books = redis.call('HMGET', P .. 'ledger:' .. source, 'pending', 'delivered', 'unchanged', 'superseded')
  pending = pending + tonumber(books[1] or '0')
  delivered = delivered + tonumber(books[2] or '0') + tonumber(books[3] or '0') + tonumber(books[4] or '0')
  local first = redis.call('ZRANGE', P .. 'due:' .. source, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= now and (not oldest or tonumber(first[2]) < oldest) then oldest = tonumber(first[2]) end
end
local calls = redis.call('ZCOUNT', P .. 'calls', string.format('%.0f', now - 59999), '+inf')
redis.call('RPUSH', P .. 'samples', string.format(
  '{"at_ms":%.0f,"pending":%d,"delivered":%d,"oldest_s":%.3f,"calls":%d,"dead":%d}',
  now, pending, delivered, oldest and math.max(0, now - oldest) / 1000 or 0, calls, redis.call('ZCARD', P .. 'dead')))
redis.call('LTRIM', P .. 'samples', -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', P .. 'samples', 86400)
return 1
