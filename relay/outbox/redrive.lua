#!lua flags=allow-oom
-- redrive(prefix; now_ms|0, dead_id, mode again|discard, order, amended|"", count, [event_id, source, verdict p|f, external_id, patch]...) -> moved|-1|-2
-- A dead letter goes back to work, or away for good, in one step: nothing is deleted before it waits elsewhere.
-- `again` without entries puts the stored patches back; with entries, what today's rules made of the events.
-- -2: the letter was amended since it was read: what was made of it is not what it says now ("": however it is).
-- -1: nobody knows the letter (replayed by someone else, or expired). The same order said twice, because its first answer was
-- lost, is answered as the first time; "": it has none.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local letter, mode, order, amended, count = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local key = P .. 'dead:' .. letter
local held = redis.call('HMGET', key, 'source', 'external', 'events', 'amended')
if not held[1] then
  local done = redis.call('GET', P .. 'redriven:' .. letter)
  local of, said = string.match(done or '', '^(.*)\31(%d+)$')
  if order ~= '' and of == order then return tonumber(said) end
  return -1
end
if amended ~= '' and (held[4] or '0') ~= amended then return -2 end
local stamp = string.format('%013d', now)
local moved = 0

local function turn(event, source, state, char)
  redis.call('HINCRBY', P .. 'ledger:' .. source, 'dead', -1)
  redis.call('HINCRBY', P .. 'ledger:' .. source, state, 1)
  if redis.call('STRLEN', P .. 'event:' .. event) > 0 then
    redis.call('SETRANGE', P .. 'event:' .. event, 0, char .. stamp)
  end
  moved = moved + 1
end

local function push(external, source, entry)
  if redis.call('RPUSH', P .. 'patches:' .. external, entry) == 1 then
    redis.call('ZADD', P .. 'due:' .. source, now, external)
  end
end

local waiting = {}
for event in string.gmatch(held[3] or '', '[^,]+') do waiting[event] = true end
local sources = {}
local stored = redis.call('LRANGE', key .. ':patches', 0, -1)
for _, entry in ipairs(stored) do
  local event, from = string.match(entry, '^([^\31]*)\31([^\31]*)\31')
  sources[event] = from
end

if mode == 'discard' then
  for event in pairs(waiting) do turn(event, sources[event] or held[1], 'discarded', 'z') end
else
  local at = 7
  for _ = 1, count do
    local event, source, verdict, external = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if waiting[event] then
      waiting[event] = nil
      if verdict == 'p' then
        push(external, source, event .. '\31' .. source .. '\31' .. now .. '\31' .. '1' .. '\31' .. ARGV[at + 4])
        turn(event, source, 'pending', 'p')
      else
        turn(event, source, 'filtered', 'f')
      end
    end
    at = at + 5
  end
  for _, entry in ipairs(stored) do
    local event, from, counted, patch = string.match(entry, '^([^\31]*)\31([^\31]*)\31%d+\31([01])\31(.*)$')
    if waiting[event] or (counted == '0' and count == 0) then
      local counts = waiting[event] and '1' or '0'
      push(held[2], held[1], event .. '\31' .. from .. '\31' .. now .. '\31' .. counts .. '\31' .. patch)
      if waiting[event] then
        waiting[event] = nil
        turn(event, from, 'pending', 'p')
      end
    end
  end
  -- An event that can neither be mapped again nor was ever mapped stays dead: nothing is dropped by a replay.
  local rest = {}
  for event in pairs(waiting) do rest[#rest + 1] = event end
  if #rest > 0 then
    redis.call('HSET', key, 'events', table.concat(rest, ','))
    return moved
  end
end
redis.call('DEL', key, key .. ':patches')
redis.call('ZREM', P .. 'dead', letter)
redis.call('SREM', P .. 'unposted', letter)
redis.call('SREM', P .. 'deadof:' .. held[2], letter)
if order ~= '' then redis.call('SET', P .. 'redriven:' .. letter, order .. '\31' .. moved, 'EX', 3600) end
return moved
