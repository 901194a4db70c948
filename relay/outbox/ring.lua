#!lua flags=allow-oom
-- ring(prefix; now_ms|0, wake_ms) -> generation|0
-- A new generation where something is due, nobody owns the lane and delivery is not held; its caller enqueues the job.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
if redis.call('EXISTS', P .. 'wake') == 1 then return 0 end
local d = redis.call('HMGET', P .. 'delivery', 'state', 'until_ms')
if d[1] == 'paused' or (d[1] and d[1] ~= 'open' and tonumber(d[2] or '0') > now) then return 0 end
for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do
  if redis.call('SISMEMBER', P .. 'paused', source) == 0 then
    local first = redis.call('ZRANGE', P .. 'due:' .. source, 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) <= now then
      local generation = redis.call('INCR', P .. 'generation')
      redis.call('SET', P .. 'wake', generation, 'PX', ARGV[2])
      return generation
    end
  end
end
return 0
