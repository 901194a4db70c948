#!lua flags=allow-oom
-- forget(prefix; now_ms|0, kept_ms, external_id, planhat_id, drop_document 0|1, waiting, event_id..., event_id...)
-- -> {events gone, patches gone, was in flight}
-- The raw events of a conversation go, and their ids are remembered as erased, so that no replay and no restored backup brings
-- them back; of the first `waiting` of them goes also what waits. The books move with it: pending becomes discarded.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local now_text = string.format('%.0f', now)
local id, planhat = ARGV[3], ARGV[4]
local gone, events, patches, flying = {}, 0, 0, 0
for i = 7, 6 + tonumber(ARGV[6]) do gone[ARGV[i]] = true end
if id ~= '' then
  local key = P .. 'patches:' .. id
  for _, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
    local event, source, _, counted = string.match(entry, '^([^\31]*)\31([^\31]*)\31(%d+)\31([01])')
    if gone[event] then
      redis.call('LREM', key, 1, entry)
      patches = patches + 1
      if counted == '1' then
        redis.call('HINCRBY', P .. 'ledger:' .. source, 'pending', -1)
        redis.call('HINCRBY', P .. 'ledger:' .. source, 'discarded', 1)
      end
    end
  end
  if patches > 0 or ARGV[5] == '1' then
    -- Whoever holds a claim on it must not settle it: what he folded is no longer there.
    local held = redis.call('HGET', P .. 'held', id)
    if held and string.sub(held, 1, 1) ~= '\31' then flying = 1 end
    redis.call('HDEL', P .. 'held', id)
  end
  if redis.call('EXISTS', key) == 0 then
    for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do redis.call('ZREM', P .. 'due:' .. source, id) end
    redis.call('ZREM', P .. 'waiting', id)
  end
  if ARGV[5] == '1' then
    redis.call('DEL', P .. 'document:' .. id)
    redis.call('ZREM', P .. 'doubt', id)
  end
end
if id ~= '' then
  -- Where the ids stand in twelves, these go too.
  local going, left, key = {}, {}, P .. 'ids:' .. id
  for i = 7, #ARGV do
    going[string.gsub(string.sub(ARGV[i], 5), '%x%x', function(digits) return string.char(tonumber(digits, 16)) end)] = true
  end
  local ids = redis.call('GET', key) or ''
  for at = 1, #ids, 12 do
    local one = string.sub(ids, at, at + 11)
    if not going[one] then left[#left + 1] = one end
  end
  if #left == 0 then redis.call('DEL', key) elseif #left * 12 < #ids then redis.call('SET', key, table.concat(left), 'KEEPTTL') end
end
if planhat ~= '' then redis.call('DEL', P .. 'planhat:' .. planhat) end
for i = 7, #ARGV do
  redis.call('ZADD', P .. 'erased', now_text, ARGV[i])
  if redis.call('STRLEN', P .. 'event:' .. ARGV[i]) > 0 then
    events = events + 1
    -- That it came is still known: its sender's repetition is a duplicate, and comes not back.
    if redis.call('PTTL', P .. 'event:' .. ARGV[i]) < 0 then redis.call('EXPIRE', P .. 'event:' .. ARGV[i], 604800) end
    redis.call('SET', P .. 'event:' .. ARGV[i], '', 'KEEPTTL')
  end
  redis.call('DEL', P .. 'notes:' .. ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', P .. 'erased', '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
return {events, patches, flying}
