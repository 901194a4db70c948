-- take_call(prefix; now_ms|0, per_minute) -> wait_ms (0: taken)
-- The fleet's call budget: never more than per_minute calls in any 60 s, look-ups too.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local key = P .. 'calls'
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 60000)
if redis.call('ZCARD', key) < tonumber(ARGV[2]) then
  redis.call('ZADD', key, now, now .. '-' .. redis.call('INCR', P .. 'call_number'))
  redis.call('PEXPIRE', key, 61000)
  return 0
end
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
return math.max(1, tonumber(first[2]) + 60001 - now)
