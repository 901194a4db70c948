#!lua flags=allow-oom
-- own(prefix; generation, ttl_ms, mode own|release|hand_over) -> generation|0
-- One flush job owns the lane: `own` takes or refreshes it, `release` lets go, `hand_over` passes it to a successor.
local P = KEYS[1]
local held = redis.call('GET', P .. 'wake')
if held and held ~= ARGV[1] then return 0 end
if ARGV[3] == 'release' then
  redis.call('DEL', P .. 'wake')
  return tonumber(ARGV[1])
end
local generation = tonumber(ARGV[1])
if ARGV[3] == 'hand_over' then generation = redis.call('INCR', P .. 'generation') end
redis.call('SET', P .. 'wake', generation, 'PX', ARGV[2])
return generation
