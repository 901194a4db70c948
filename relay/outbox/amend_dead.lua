#!lua flags=allow-oom
-- amend_dead(prefix; dead_id, record, amended) -> 1, 0 where nobody knows the letter, -1 where it was amended meanwhile
-- A letter's record is replaced where the letter stands and is as it was when it was read, in one step: one that is replayed
-- meanwhile leaves no orphan, and of two who change it at the same time the second looks again.
local key = KEYS[1] .. 'dead:' .. ARGV[1]
local stands = redis.call('HMGET', key, 'at', 'amended')
if not stands[1] then return 0 end
if (stands[2] or '0') ~= ARGV[3] then return -1 end
redis.call('HSET', key, 'record', ARGV[2])
redis.call('HINCRBY', key, 'amended', 1)
return 1
