#!lua flags=allow-oom
-- renew(prefix; now_ms|0, lease_ms, [source, external_id, token]...) -> {lost external_id...}
-- Moves the leases that are still ours; whoever else took one keeps it.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local lease = string.format('%.0f', now + tonumber(ARGV[2]))
local ids, lost, leases = {}, {}, {}
for i = 4, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then return lost end
local held = redis.call('HMGET', P .. 'held', unpack(ids))
for n, id in ipairs(ids) do
  local source, token = ARGV[3 * n], ARGV[3 * n + 2]
  if held[n] and string.find(held[n], token .. '\31', 1, true) == 1 then
    local of = leases[source]
    if not of then of = {}; leases[source] = of end
    of[#of + 1] = lease
    of[#of + 1] = id
  else
    lost[#lost + 1] = id
  end
end
for source, of in pairs(leases) do redis.call('ZADD', P .. 'due:' .. source, 'XX', unpack(of)) end
return lost
