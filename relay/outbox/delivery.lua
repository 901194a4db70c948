#!lua flags=allow-oom
-- delivery(prefix; mode hold|reopen|pause|resume, state|source, until_ms|reopened_ms, reason, by) -> changed 0|1
-- The state of delivery changes in one step: a person's pause is looked at and kept where it is changed, so that no worker
-- undoes it in between. A hold is written also while memory is full: without it an outage would be a standstill.
local P = KEYS[1]
local key, mode = P .. 'delivery', ARGV[1]
if mode == 'pause' then
  local t = redis.call('TIME')
  local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
  -- Who held it first did it: a second pause of the same changes nothing.
  redis.call('HSETNX', P .. 'pauses', ARGV[2], now .. ' ' .. ARGV[5])
  if ARGV[2] ~= '' then return redis.call('SADD', P .. 'paused', ARGV[2]) end
  redis.call('HSET', key, 'state', 'paused', 'until_ms', 0, 'reason', ARGV[4])
  return 1
end
if mode == 'resume' then
  redis.call('HDEL', P .. 'pauses', ARGV[2])
  if ARGV[2] ~= '' then return redis.call('SREM', P .. 'paused', ARGV[2]) end
  redis.call('HSET', key, 'state', 'open', 'until_ms', 0, 'reason', '', 'failures', 0)
  return 1
end
if redis.call('HGET', key, 'state') == 'paused' then return 0 end
if mode == 'hold' then
  redis.call('HSET', key, 'state', ARGV[2], 'until_ms', ARGV[3], 'reason', ARGV[4])
  redis.call('HINCRBY', key, 'failures', 1)
else
  redis.call('HSET', key, 'state', 'open', 'until_ms', 0, 'reason', '', 'failures', 0, 'reopened_ms', ARGV[3])
end
return 1
