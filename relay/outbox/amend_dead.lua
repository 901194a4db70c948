#!lua flags=allow-oom
-- amend_dead(prefix; dead_id, record) -> 1, 0 where nobody knows the letter
-- A letter's record is replaced where the letter stands, in one step: one that is replayed meanwhile leaves no orphan.
local key = KEYS[1] .. 'dead:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, 'record', ARGV[2])
return 1
