#!lua flags=allow-oom
-- mark_cause(prefix; digest, keep_s, [field, value|""]...) -> fields left
-- What people say of a cause of dead letters changes in one step: an empty value takes a field away, and what nobody says
-- anything of is gone. It is kept as long as it is touched once in `keep_s`.
local key = KEYS[1] .. 'cause:' .. ARGV[1]
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i]) else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
local left = redis.call('HLEN', key)
if left > 0 then redis.call('EXPIRE', key, ARGV[2]) end
return left
