#!lua flags=allow-oom
-- prune(prefix; now_ms|0, mark_years, mode events|documents, [name, planhat_id|""]...) -> {name...} that went
-- Memory is given back by what is settled: raw events that neither wait nor are dead, documents of conversations of which
-- nothing waits or is looked at. A document leaves the mark that outlives it: what Planhat has is read before more is sent.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local gone, marks = {}, {}
for i = 4, #ARGV, 2 do
  local name = ARGV[i]
  if ARGV[3] == 'events' then
    local state = redis.call('GETRANGE', P .. 'event:' .. name, 0, 0)
    if state ~= '' and state ~= 'p' and state ~= 'x' then
      -- That it came is still known: its sender's repetition is a duplicate.
      redis.call('SET', P .. 'event:' .. name, '', 'KEEPTTL')
      redis.call('DEL', P .. 'notes:' .. name)
      gone[#gone + 1] = name
    end
  elseif redis.call('EXISTS', P .. 'patches:' .. name) == 0 and redis.call('HEXISTS', P .. 'held', name) == 0
    and not redis.call('ZSCORE', P .. 'doubt', name) and redis.call('DEL', P .. 'document:' .. name) == 1 then
    if ARGV[i + 1] ~= '' then redis.call('DEL', P .. 'planhat:' .. ARGV[i + 1]) end
    marks[#marks + 1] = string.sub(redis.sha1hex(name), 1, 10)
    gone[#gone + 1] = name
  end
end
if #marks > 0 then
  local year = math.floor(now / 31536000000)
  redis.call('SADD', P .. 'delivered:' .. year, unpack(marks))
  redis.call('PEXPIREAT', P .. 'delivered:' .. year, string.format('%.0f', (year + 1 + tonumber(ARGV[2])) * 31536000000))
end
return gone
