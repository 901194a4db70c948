#!lua flags=allow-oom
-- audit(prefix; now_ms|0, kept_ms, most, "add", line) -> place; audit(prefix; 0, 0, 0, "amend", [old, new]...) -> changed
-- A line is never changed but by an erasure, which puts another in its place at its time. What is too old, or one too
-- many, goes with the next line.
local P = KEYS[1]
local key = P .. 'audit'
if ARGV[4] == 'amend' then
  local changed = 0
  for i = 5, #ARGV, 2 do
    local at = redis.call('ZSCORE', key, ARGV[i])
    if at then
      redis.call('ZREM', key, ARGV[i])
      redis.call('ZADD', key, at, ARGV[i + 1])
      changed = changed + 1
    end
  end
  return changed
end
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local number = redis.call('INCR', P .. 'audit_number')
local place = string.format('%013d.%010d', now, number)
redis.call('ZADD', key, string.format('%.0f', now), place .. '\31' .. ARGV[5])
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
redis.call('ZREMRANGEBYRANK', key, 0, -tonumber(ARGV[3]) - 1)
return place
