#!lua flags=allow-oom
-- doubt(prefix; now_ms|0, mode done|again|later, external_id, source, entry, due_ms) -> 1
-- What became of a look at a delivered conversation: Planhat has it (done), has less (again: it waits once more, with a patch
-- that counts nowhere), or could not be asked (later). What waits anyway has that patch too: what Planhat has now is then no
-- sign that a person has taken something out.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local id = ARGV[3]
if ARGV[2] == 'later' then
  redis.call('ZADD', P .. 'doubt', 'XX', ARGV[6], id)
  return 1
end
redis.call('ZREM', P .. 'doubt', id)
if ARGV[2] == 'done' then return 1 end
if redis.call('RPUSH', P .. 'patches:' .. id, ARGV[5]) > 1 then return 1 end
redis.call('ZADD', P .. 'due:' .. ARGV[4], string.format('%.0f', now), id)
redis.call('SADD', P .. 'sources', ARGV[4])
return 1
