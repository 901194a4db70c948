#!lua flags=allow-oom
-- mark(prefix; now_ms|0, mark_years, number, offset, sure 0|1, external_id...) -> 1, 0 where another life has begun
-- Marks of conversations that were found in Planhat itself, page by page; with the last one nobody is unsure any more.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
if (redis.call('HGET', P .. 'life', 'number') or '0') ~= ARGV[3] then return 0 end
local year = math.floor(now / 31536000000)
local marks = {}
for i = 6, #ARGV do marks[#marks + 1] = string.sub(redis.sha1hex(ARGV[i]), 1, 10) end
for from = 1, #marks, 4000 do
  redis.call('SADD', P .. 'delivered:' .. year, unpack(marks, from, math.min(from + 3999, #marks)))
end
if #marks > 0 then
  redis.call('PEXPIREAT', P .. 'delivered:' .. year, string.format('%.0f', (year + 1 + tonumber(ARGV[2])) * 31536000000))
end
redis.call('HSET', P .. 'life', 'offset', ARGV[4])
redis.call('HINCRBY', P .. 'life', 'found', #marks)
if ARGV[5] == '1' then redis.call('HSET', P .. 'life', 'unsure', 0) end
return 1
