#!lua flags=allow-oom
-- own(prefix; generation, ttl_ms, mode own|begin|release|hand_over) -> generation|0
-- One flush job owns the lane: `own` refreshes it, `release` lets go, `hand_over` passes it to a successor. `begin`: a job takes it,
-- with a generation of its own where the one that it came with is not the lane's any more and nobody has taken the lane since: its
-- job may be far behind in the queue, and be as old by the time that it is read.
local P = KEYS[1]
local held = redis.call('GET', P .. 'wake')
if held and held ~= ARGV[1] then
  if ARGV[3] ~= 'begin' or redis.call('GET', P .. 'taken') == held then return 0 end
  held = redis.call('INCR', P .. 'generation')
  redis.call('SET', P .. 'wake', held, 'PX', ARGV[2])
  redis.call('SET', P .. 'taken', held)
  return held
end
if ARGV[3] == 'release' then
  redis.call('DEL', P .. 'wake')
  return tonumber(ARGV[1])
end
local generation = tonumber(ARGV[1])
if ARGV[3] == 'hand_over' then generation = redis.call('INCR', P .. 'generation') end
redis.call('SET', P .. 'wake', generation, 'PX', ARGV[2])
if ARGV[3] == 'begin' then redis.call('SET', P .. 'taken', generation) end
return generation
