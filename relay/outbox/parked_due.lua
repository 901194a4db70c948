#!lua flags=allow-oom
-- parked_due(prefix; now_ms, version) -> letters that are due now, 0 where the version of the config is no news
-- A new config may know the company of what waits for one. In one step: a letter that is replayed meanwhile is not put back.
local P = KEYS[1]
if redis.call('GET', P .. 'directory:config') == ARGV[2] then return 0 end
redis.call('SET', P .. 'directory:config', ARGV[2])
local letters = redis.call('ZRANGE', P .. 'directory:parked', 0, -1)
for _, letter in ipairs(letters) do redis.call('ZADD', P .. 'directory:parked', 'XX', ARGV[1], letter) end
return #letters
