#!lua flags=allow-oom
-- life(prefix; now_ms|0, mode look|changed|adopted, token, who, look, seen_number, seen_ms, what, lost) -> {epoch, accepted, claims, generation, look, number, now_ms, more_lost}
-- What names this store and only ever grows in it: whoever remembers more than stands here knows that Redis was set back.
-- look: each process leaves the number of its own look, and gets the one that it left before. changed: a new life begins, once
-- for all that notice; `seen_ms`: until then all was well, and what was accepted may have been delivered. adopted: likewise,
-- and what was delivered went to another Planhat. `lost`: so many accepted events who notices knows to be gone; `more_lost`: as
-- many more than anybody knew of this life before.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
redis.call('SET', P .. 'epoch', ARGV[3], 'NX')
local number = tonumber(redis.call('HGET', P .. 'life', 'number') or '0')
local left = redis.call('HGET', P .. 'looks', ARGV[4]) or ''
local lost, more = tonumber(ARGV[9]), 0
if ARGV[2] == 'look' then
  redis.call('HSET', P .. 'looks', ARGV[4], ARGV[5])
  redis.call('EXPIRE', P .. 'looks', 86400)
  -- Processes come and go.
  if redis.call('HLEN', P .. 'looks') > 1000 then redis.call('DEL', P .. 'looks') end
elseif ARGV[2] == 'adopted' or number <= tonumber(ARGV[6]) then
  number = math.max(number, tonumber(ARGV[6])) + 1
  redis.call('HSET', P .. 'life', 'number', number, 'since_ms', ARGV[7], 'at_ms', string.format('%.0f', now), 'what', ARGV[8], 'unsure', 1, 'offset', 0, 'found', 0, 'lost', ARGV[9])
  more = lost
  if ARGV[2] == 'adopted' then redis.call('HSET', P .. 'life', 'adopted', number) end
else
  more = math.max(0, lost - tonumber(redis.call('HGET', P .. 'life', 'lost') or '0'))
  if more > 0 then redis.call('HSET', P .. 'life', 'lost', lost) end
end
local held = redis.call('MGET', P .. 'epoch', P .. 'accepted', P .. 'claims', P .. 'generation')
return {held[1], tonumber(held[2] or '0'), tonumber(held[3] or '0'), tonumber(held[4] or '0'), left, number, now, more}
