#!lua
-- replay(prefix; now_ms|0, count, [event_id, source, external_id, patch]...) -> moved
-- Settled events wait again with what today's rules made of them. One that still waits gets the new patch beside its
-- own, uncounted; one that is dead or no longer known is left alone.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local stamp = string.format('%013d', now)
local WORD = {d = 'delivered', u = 'unchanged', s = 'superseded', f = 'filtered'}
local moved, at = 0, 3
for _ = 1, tonumber(ARGV[2]) do
  local event, source, external, patch = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 4
  local char = redis.call('GETRANGE', P .. 'event:' .. event, 0, 0)
  if char == 'p' or WORD[char] then
    local counted = char == 'p' and '0' or '1'
    if char ~= 'p' then
      redis.call('HINCRBY', P .. 'ledger:' .. source, WORD[char], -1)
      redis.call('HINCRBY', P .. 'ledger:' .. source, 'pending', 1)
      redis.call('SETRANGE', P .. 'event:' .. event, 0, 'p' .. stamp)
    end
    if redis.call('RPUSH', P .. 'patches:' .. external, event .. '\31' .. source .. '\31' .. now .. '\31' .. counted .. '\31' .. patch) == 1 then
      redis.call('ZADD', P .. 'due:' .. source, now, external)
    end
    redis.call('SADD', P .. 'sources', source)
    moved = moved + 1
  end
end
return moved
