-- claim(prefix; generation, now_ms|0, lease_ms, limit, patch_limit, wake_ms) -> {owned, now_ms, item...}
-- A lease is a due time in the future under a token. Sources share a claim fairly; paused ones are passed over.
-- An item: {external_id, source, token, crashes, refusals, first_ms, document|false, patches}
-- What ran out unsettled twice is handed out alone, after one crash in small company, so that one poison item among
-- thousands is found in a few calls. Where nothing is due the lane is let go of in the same step: no wake-up is lost.
local P = KEYS[1]
local now = tonumber(ARGV[2])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local lease_ms, limit, patch_limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('GET', P .. 'wake') ~= ARGV[1] then return {0, now} end

local sources = {}
for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do
  if redis.call('SISMEMBER', P .. 'paused', source) == 0 then
    local first = redis.call('ZRANGE', P .. 'due:' .. source, 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) <= now then sources[#sources + 1] = {source, tonumber(first[2])} end
  end
end
if #sources == 0 then
  redis.call('DEL', P .. 'wake')
  return {1, now}
end
table.sort(sources, function(a, b) if a[2] ~= b[2] then return a[2] < b[2] end return a[1] < b[1] end)

local due, left, taken = {}, limit, {}
for pass = 1, 2 do
  for n, s in ipairs(sources) do
    if left > 0 then
      local offset = taken[n] or 0
      local share = left
      if pass == 1 then share = math.max(1, math.floor(limit / #sources)) end
      if pass == 1 or offset >= math.max(1, math.floor(limit / #sources)) then
        local ids = redis.call('ZRANGEBYSCORE', P .. 'due:' .. s[1], '-inf', now, 'LIMIT', offset, math.min(share, left))
        taken[n] = offset + #ids
        left = left - #ids
        for _, id in ipairs(ids) do due[#due + 1] = {id, s[1]} end
      end
    end
  end
end

local token = tostring(redis.call('INCR', P .. 'claims'))
local out, again = {1, now}, 0
for _, pair in ipairs(due) do
  local id, source = pair[1], pair[2]
  local held = redis.call('HMGET', P .. 'claim:' .. id, 'crashes', 'refusals')
  local crashes, refusals = tonumber(held[1] or '0'), tonumber(held[2] or '0')
  local take = true
  if crashes >= 2 and #out > 2 then take = false end
  if crashes == 1 then
    again = again + 1
    if again > 64 then take = false end
  end
  if take then
    local patches = redis.call('LRANGE', P .. 'patches:' .. id, 0, patch_limit - 1)
    if #patches == 0 then
      redis.call('ZREM', P .. 'due:' .. source, id)
      redis.call('ZREM', P .. 'waiting', id)
      redis.call('DEL', P .. 'claim:' .. id)
    else
      local first = redis.call('ZSCORE', P .. 'waiting', id)
      if not first then
        first = string.match(patches[1], '^[^\31]*\31[^\31]*\31(%d+)')
        redis.call('ZADD', P .. 'waiting', first, id)
      end
      redis.call('HSET', P .. 'claim:' .. id, 'token', token, 'crashes', crashes + 1)
      redis.call('ZADD', P .. 'due:' .. source, now + lease_ms, id)
      out[#out + 1] = {id, source, token, crashes, refusals, tonumber(first), redis.call('GET', P .. 'document:' .. id), patches}
      if crashes >= 2 then break end
    end
  end
end
redis.call('SET', P .. 'wake', ARGV[1], 'PX', ARGV[6])
return out
