#!lua flags=allow-oom
-- swap_field(prefix; key behind the prefix, field, before|"", after|"") -> 1, 0 where the field holds something else by now
-- A field of a hash is replaced where it is as it was when it was read; "" is a field that is not there.
local key = KEYS[1] .. ARGV[1]
if (redis.call('HGET', key, ARGV[2]) or '') ~= ARGV[3] then return 0 end
if ARGV[4] == '' then redis.call('HDEL', key, ARGV[2]) else redis.call('HSET', key, ARGV[2], ARGV[4]) end
return 1
