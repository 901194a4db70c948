#!lua flags=allow-oom
-- take_call(prefix; now_ms|0, per_minute, spread_from, mode take|look|seize) -> {wait_ms, used, taken 0|1, delivery's fields and values}
-- wait_ms 0: taken, or free to take; -1: a person paused delivery, nothing was taken. used: calls in the 60 s before.
-- look takes nothing; seize takes a call only where delivery is open and calls are plentiful: neither spread nor used up.
-- The fleet's call budget: never more than per_minute calls in any 60 s, look-ups too. A quarter of the first spread_from
-- calls go as they come, the others at about twice the even pace: a call for each event of a burst would use them up in a
-- second. From then on what is left of the minute's calls is spread over what is left of the minute.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local key, limit, spread_from, mode = P .. 'calls', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local delivery, word = redis.call('HGETALL', P .. 'delivery'), 'open'
for n = 1, #delivery, 2 do
  if delivery[n] == 'state' then word = delivery[n + 1] end
end
if mode == 'take' and word == 'paused' then return {-1, 0, 0, delivery} end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 60000)
local used = redis.call('ZCARD', key)
if used >= limit then
  -- As many must leave as are too many: a limit that was just lowered finds more calls than it allows.
  local leaves = redis.call('ZRANGE', key, used - limit, used - limit, 'WITHSCORES')
  return {math.max(1, tonumber(leaves[2]) + 60001 - now), used, 0, delivery}
end
local plenty = used < spread_from
if used > 0 and spread_from < limit and used * 4 >= spread_from then
  local gap = 60000 / limit * 0.47
  if not plenty then
    -- A little quicker than even, so that delays do not add up to unused calls; while behind, quicker still.
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local even = 60000 / limit * (used < limit * 0.9 and 0.6 or 0.95)
    gap = math.max(even, (tonumber(first[2]) + 60000 - now) / (limit - used) * 0.95)
  end
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  local wait = math.ceil(tonumber(last[2]) + gap - now)
  if wait > 0 then return {wait, used, 0, delivery} end
end
local taken = 0
if mode == 'take' or (mode == 'seize' and plenty and word == 'open') then
  redis.call('ZADD', key, now, now .. '-' .. redis.call('INCR', P .. 'call_number'))
  redis.call('PEXPIRE', key, 61000)
  taken = 1
end
return {0, used, taken, delivery}
