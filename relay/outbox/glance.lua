#!lua flags=no-writes
-- glance(prefix; now_ms|0) -> {accepted, unposted, dead, moved, parked, unsure 0|1}
-- What of a lane is to be looked after beside its delivery, in numbers: dead letters without a job, all dead letters, events whose thread
-- has moved, letters that are to be looked at again, whether it is read in Planhat what stands there.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
return {
  tonumber(redis.call('GET', P .. 'accepted') or '0'),
  redis.call('SCARD', P .. 'unposted'),
  redis.call('ZCARD', P .. 'dead'),
  redis.call('LLEN', P .. 'rethread'),
  redis.call('ZCOUNT', P .. 'directory:parked', '-inf', now),
  redis.call('HGET', P .. 'life', 'unsure') == '1' and 1 or 0,
}
