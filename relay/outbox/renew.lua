-- renew(prefix; now_ms|0, lease_ms, [source, external_id, token]...) -> {lost external_id...}
-- Moves the leases that are still ours; whoever else took one keeps it.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local lost = {}
for i = 3, #ARGV, 3 do
  if redis.call('HGET', P .. 'claim:' .. ARGV[i + 1], 'token') == ARGV[i + 2] then
    redis.call('ZADD', P .. 'due:' .. ARGV[i], 'XX', now + tonumber(ARGV[2]), ARGV[i + 1])
  else
    lost[#lost + 1] = ARGV[i + 1]
  end
end
return lost
