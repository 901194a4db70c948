#!lua flags=allow-oom
-- claim(prefix; generation, now_ms|0, lease_ms, limit, patch_limit, wake_ms, max_bytes, stay 0|1, mark_years) -> {owned, now_ms, token, more 0|1, life, since_ms, count, doubted..., item...}
-- A lease is a due time in the future under a token. Sources share a claim fairly; paused ones are passed over.
-- An item, flat: external_id, source, crashes, refusals, first_ms, document|""|"?", patch_count, event_count, patch..., event...
-- An event is one that a patch continues (see `vault.py`: c), as it is stored, "" where it is gone; in the order of those patches.
-- "?": the document is forgotten, and Planhat has, or may have, this conversation (its mark stands, or nobody knows since Redis
-- was set back). life: how often that happened; since_ms: events accepted by then may have been delivered before.
-- doubted: those of the items for which a call was cut off before they were delivered; it may have taken effect last.
-- What ran out unsettled twice is handed out alone, after one crash in small company, so that one poison item among
-- thousands is found in a few calls. Where nothing is due the lane is let go of in the same step, unless `stay`: no
-- wake-up is lost. One call for many items wherever Redis has one: a call costs more than what it does here.
local P = KEYS[1]
local MARK_MS = 31536000000
local now = tonumber(ARGV[2])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local lease_ms, limit, patch_limit, max_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
if redis.call('GET', P .. 'wake') ~= ARGV[1] then return {0, now, '', 0, 0, 0, 0} end

local sources = {}
for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do
  if redis.call('SISMEMBER', P .. 'paused', source) == 0 then
    local first = redis.call('ZRANGE', P .. 'due:' .. source, 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) <= now then sources[#sources + 1] = {source, tonumber(first[2])} end
  end
end
if #sources == 0 then
  if ARGV[8] ~= '1' then redis.call('DEL', P .. 'wake') end
  return {1, now, '', 0, 0, 0, 0}
end
table.sort(sources, function(a, b) if a[2] ~= b[2] then return a[2] < b[2] end return a[1] < b[1] end)

local ids, from, left, taken = {}, {}, limit, {}
local fair = math.max(1, math.floor(limit / #sources))
for pass = 1, 2 do
  for n, s in ipairs(sources) do
    local offset = taken[n] or 0
    if left > 0 and (pass == 1 or offset >= fair) then
      local due = redis.call('ZRANGEBYSCORE', P .. 'due:' .. s[1], '-inf', now, 'LIMIT', offset, pass == 1 and math.min(fair, left) or left)
      taken[n] = offset + #due
      left = left - #due
      for _, id in ipairs(due) do
        ids[#ids + 1] = id
        from[#from + 1] = s[1]
      end
    end
  end
end

local token = tostring(redis.call('INCR', P .. 'claims'))
local held = redis.call('HMGET', P .. 'held', unpack(ids))
local keys = {}
for n, id in ipairs(ids) do keys[n] = P .. 'document:' .. id end
local documents = redis.call('MGET', unpack(keys))

local life = redis.call('HMGET', P .. 'life', 'number', 'since_ms', 'unsure')
local forgotten, none, hashes = {}, {}, {}
for n, id in ipairs(ids) do
  if not documents[n] then
    none[#none + 1] = n
    if life[3] == '1' then forgotten[n] = true else hashes[#hashes + 1] = string.sub(redis.sha1hex(id), 1, 10) end
  end
end
if #hashes > 0 then
  local year = math.floor(now / MARK_MS)
  for back = 0, tonumber(ARGV[9]) do
    for i, held in ipairs(redis.call('SMISMEMBER', P .. 'delivered:' .. (year - back), unpack(hashes))) do
      if held == 1 then forgotten[none[i]] = true end
    end
  end
end
local out, at = {1, now, token, 0, tonumber(life[1] or '0'), tonumber(life[2] or '0'), 0}, 7
if redis.call('EXISTS', P .. 'doubt') == 1 then
  for n, held in ipairs(redis.call('ZMSCORE', P .. 'doubt', unpack(ids))) do
    if held then
      at = at + 1
      out[at] = ids[n]
    end
  end
  out[7] = at - 7
end
local fresh = token .. '\31' .. '1' .. '\31' .. '0' .. '\31'
local again, count, size, lease = 0, 0, 0, string.format('%.0f', now + lease_ms)
local holds, waits, leases, gone, gone_of = {}, {}, {}, {}, {}
for n, id in ipairs(ids) do
  local crashes, refusals, first = 0, 0, nil
  if held[n] then
    crashes, refusals, first = string.match(held[n], '^[^\31]*\31(%d+)\31(%d+)\31(%d+)')
    crashes, refusals = tonumber(crashes), tonumber(refusals)
  end
  local take = true
  if crashes >= 2 and count > 0 then take = false end
  if crashes == 1 then
    again = again + 1
    if again > 64 then take = false end
  end
  if take then
    local patches = redis.call('LRANGE', P .. 'patches:' .. id, 0, patch_limit - 1)
    local document = documents[n] or (forgotten[n] and '?' or '')
    local weight = #document
    local events, oldest = {}, nil
    for n_patch, patch in ipairs(patches) do
      weight = weight + #patch
      local event, accepted, kind = string.match(patch, '^([^\31]*)\31[^\31]*\31(%d+)\31[01]\31(.?)')
      if n_patch == 1 then oldest = accepted end
      if kind == 'c' then
        local stored = redis.call('GET', P .. 'event:' .. event) or ''
        events[#events + 1] = stored
        weight = weight + #stored
      end
    end
    if #patches == 0 then
      gone[#gone + 1] = id
      gone_of[from[n]] = gone_of[from[n]] or {}
      table.insert(gone_of[from[n]], id)
    elseif count > 0 and size + weight > max_bytes then
      out[4] = 1
      break
    else
      if not first then
        first = oldest
        waits[#waits + 1] = first
        waits[#waits + 1] = id
      end
      holds[#holds + 1] = id
      holds[#holds + 1] = (held[n] and token .. '\31' .. (crashes + 1) .. '\31' .. refusals .. '\31' or fresh) .. first
      local of = leases[from[n]]
      if not of then of = {}; leases[from[n]] = of end
      of[#of + 1] = lease
      of[#of + 1] = id
      out[at + 1], out[at + 2], out[at + 3], out[at + 4] = id, from[n], crashes, refusals
      out[at + 5], out[at + 6], out[at + 7], out[at + 8] = tonumber(first), document, #patches, #events
      at = at + 8
      for _, patch in ipairs(patches) do
        at = at + 1
        out[at] = patch
      end
      for _, stored in ipairs(events) do
        at = at + 1
        out[at] = stored
      end
      count, size = count + 1, size + weight
      if crashes >= 2 then break end
    end
  end
end
if count >= limit then out[4] = 1 end
if #holds > 0 then redis.call('HSET', P .. 'held', unpack(holds)) end
if #waits > 0 then redis.call('ZADD', P .. 'waiting', unpack(waits)) end
for source, of in pairs(leases) do redis.call('ZADD', P .. 'due:' .. source, unpack(of)) end
if #gone > 0 then
  redis.call('HDEL', P .. 'held', unpack(gone))
  redis.call('ZREM', P .. 'waiting', unpack(gone))
  for source, of in pairs(gone_of) do redis.call('ZREM', P .. 'due:' .. source, unpack(of)) end
end
redis.call('SET', P .. 'wake', ARGV[1], 'PX', ARGV[6])
return out
