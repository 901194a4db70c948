#!lua flags=allow-oom
-- owner(prefix; now_ms|0, mode look|claim|add|witness|replace, url, holder, planhat_id) -> {field, value...}
-- Whose lane it is: the first that claims it, by Planhat's address and a fingerprint of its token; `holder:...` fields are the
-- fingerprints that are known to be the same tenant's, with when each was seen; `witness:...` fields are `_id`s of
-- conversations that were seen to stand in that tenant, the last five.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local key, mode, stamp = P .. 'owner', ARGV[2], string.format('%.0f', now)
local there = redis.call('EXISTS', key) == 1
if mode == 'replace' then
  redis.call('DEL', key)
  there = false
end
if mode == 'replace' or (mode == 'claim' and not there) then
  redis.call('HSET', key, 'url', ARGV[3], 'since_ms', stamp, 'holder:' .. ARGV[4], stamp)
elseif mode == 'add' and there then
  redis.call('HSET', key, 'holder:' .. ARGV[4], stamp)
elseif mode == 'claim' and redis.call('HEXISTS', key, 'holder:' .. ARGV[4]) == 1 then
  redis.call('HSET', key, 'holder:' .. ARGV[4], stamp)
elseif mode == 'witness' and there then
  redis.call('HSET', key, 'witness:' .. ARGV[5], stamp)
end
local held = redis.call('HGETALL', key)
local witnesses = {}
for i = 1, #held, 2 do
  if string.sub(held[i], 1, 8) == 'witness:' then witnesses[#witnesses + 1] = {tonumber(held[i + 1]), held[i]} end
end
if #witnesses > 5 then
  table.sort(witnesses, function(a, b) if a[1] ~= b[1] then return a[1] < b[1] end return a[2] < b[2] end)
  for i = 1, #witnesses - 5 do redis.call('HDEL', key, witnesses[i][2]) end
end
return held
