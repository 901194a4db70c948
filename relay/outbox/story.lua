#!lua flags=allow-oom
-- story(prefix; events_s, most_bytes, [external_id, packed id]...) -> events that were not there
-- An event is one of a conversation's from now on, beside how it came to be; once, however often it is said. Of a string that has grown
-- by a fifth beyond `most_bytes` the newest stay, as where a conversation's next event comes in.
local P = KEYS[1]
local keep_s, most, new = tonumber(ARGV[1]), tonumber(ARGV[2]), 0

local function holds(stored, packed)
  local at = string.find(stored, packed, 1, true)
  while at and (at - 1) % #packed ~= 0 do at = string.find(stored, packed, at + 1, true) end
  return at
end

for at = 3, #ARGV, 2 do
  local key, packed = P .. 'ids:' .. ARGV[at], ARGV[at + 1]
  local stored = redis.call('GET', key) or ''
  if not holds(stored, packed) then
    local size = redis.call('APPEND', key, packed)
    if size > most * 1.2 then redis.call('SET', key, redis.call('GETRANGE', key, size - most, -1), 'KEEPTTL') end
    new = new + 1
  end
  if redis.call('TTL', key) < keep_s then redis.call('EXPIRE', key, keep_s) end
end
return new
