#!lua flags=allow-oom
-- alerts(prefix; "write", now_ms|0, revision, fields, [name, value or ""]..., [message id, value]...) -> 1, or 0: look again
-- alerts(prefix; "take", now_ms|0, lease_ms) -> {message id, value} or nothing
-- alerts(prefix; "settle", now_ms|0, message id, due_ms, value or "") -> 1 where it was there
-- alerts(prefix; "wait", now_ms|0, message id, value, hasten_ms|0, older message id...) -> 1: it is due after all of those. With
-- hasten_ms those that are due later than in so long are due now; a lease never is.
-- What stands and what is to be told of it change together, and only for whoever saw the last change: however many
-- processes look, a message is made once. A message that was taken and not settled is taken again after its lease.
local P = KEYS[1]
local standing, unsent, messages = P .. 'alerts', P .. 'alerts:unsent', P .. 'alerts:messages'
local mode, now = ARGV[1], tonumber(ARGV[2])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
if mode == 'write' then
  if (redis.call('HGET', standing, 'revision') or '0') ~= ARGV[3] then return 0 end
  local at, last = 5, 4 + 2 * tonumber(ARGV[4])
  while at < last do
    if ARGV[at + 1] == '' then redis.call('HDEL', standing, ARGV[at])
    else redis.call('HSET', standing, ARGV[at], ARGV[at + 1]) end
    at = at + 2
  end
  while at < #ARGV do
    redis.call('HSET', messages, ARGV[at], ARGV[at + 1])
    redis.call('ZADD', unsent, string.format('%.0f', now), ARGV[at])
    at = at + 2
  end
  redis.call('HINCRBY', standing, 'revision', 1)
  return 1
end
if mode == 'take' then
  while true do
    local due = redis.call('ZRANGEBYSCORE', unsent, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
    if not due[1] then return false end
    local value = redis.call('HGET', messages, due[1])
    if value then
      redis.call('ZADD', unsent, string.format('%.0f', now + tonumber(ARGV[3])), due[1])
      return {due[1], value}
    end
    redis.call('ZREM', unsent, due[1])
  end
end
if redis.call('HEXISTS', messages, ARGV[3]) == 0 then return 0 end
if mode == 'wait' then
  local last, hasten = now, tonumber(ARGV[5])
  for at = 6, #ARGV do
    local due = tonumber(redis.call('ZSCORE', unsent, ARGV[at]) or '0')
    if hasten > 0 and due > now + hasten then
      due = now
      redis.call('ZADD', unsent, string.format('%.0f', due), ARGV[at])
    end
    last = math.max(last, due)
  end
  redis.call('HSET', messages, ARGV[3], ARGV[4])
  redis.call('ZADD', unsent, string.format('%.0f', last + 1), ARGV[3])
  return 1
end
if ARGV[5] == '' then
  redis.call('HDEL', messages, ARGV[3])
  redis.call('ZREM', unsent, ARGV[3])
else
  redis.call('HSET', messages, ARGV[3], ARGV[5])
  redis.call('ZADD', unsent, ARGV[4], ARGV[3])
end
return 1
