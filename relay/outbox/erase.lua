#!lua flags=allow-oom
-- erase(prefix; now_ms|0, external_id, keep_document 0|1, count, event_id...) -> events moved
-- What waits of these events goes, and the books with it: pending becomes discarded. An item with nothing left goes too.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local id = ARGV[2]
local gone, moved = {}, 0
for i = 5, 4 + tonumber(ARGV[4]) do gone[ARGV[i]] = true end
local key = P .. 'patches:' .. id
for _, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
  local event, source, _, counted = string.match(entry, '^([^\31]*)\31([^\31]*)\31(%d+)\31([01])')
  if gone[event] then
    redis.call('LREM', key, 1, entry)
    if counted == '1' then
      redis.call('HINCRBY', P .. 'ledger:' .. source, 'pending', -1)
      redis.call('HINCRBY', P .. 'ledger:' .. source, 'discarded', 1)
      moved = moved + 1
    end
  end
end
-- Whoever holds a claim on what went must not settle it: its count of patches is no longer true.
redis.call('HDEL', P .. 'held', id)
if redis.call('EXISTS', key) == 0 then
  for _, source in ipairs(redis.call('SMEMBERS', P .. 'sources')) do redis.call('ZREM', P .. 'due:' .. source, id) end
  redis.call('ZREM', P .. 'waiting', id)
end
if ARGV[3] == '0' then redis.call('DEL', P .. 'document:' .. id) end
return moved
