-- settle(prefix; now_ms|0, documents_s, dead_s, count, settlements...) -> {lost external_id...}
-- What a claim became, fenced by its token; the ledger moves in the same step, so that the books always balance.
-- d: source, id, token, patches, document, planhat_id, event_count, [event_id, source, state]...
-- l: source, id, token, due_ms, refused 0|1, document|""
-- x: source, id, token, patches, dead_id, record, document|""
-- Patches that came in during the flight stay, and make the item due again at once.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local documents_s, dead_s, count = ARGV[2], ARGV[3], tonumber(ARGV[4])
local stamp = string.format('%013d', now)
local LETTER = {delivered = 'd', unchanged = 'u', superseded = 's', filtered = 'f', dead = 'x', discarded = 'z'}
local lost, books, at = {}, {}, 5

local function move(source, state)
  local b = books[source]
  if not b then b = {pending = 0}; books[source] = b end
  b.pending = b.pending - 1
  b[state] = (b[state] or 0) + 1
end

local function mark(id, state)
  local key = P .. 'event:' .. id
  if redis.call('EXISTS', key) == 1 then redis.call('SETRANGE', key, 0, LETTER[state] .. stamp) end
end

local function let_go(source, id, patches)
  local key = P .. 'patches:' .. id
  redis.call('LTRIM', key, patches, -1)
  redis.call('DEL', P .. 'claim:' .. id)
  redis.call('ZREM', P .. 'waiting', id)
  if redis.call('EXISTS', key) == 1 then
    redis.call('ZADD', P .. 'due:' .. source, now, id)
  else
    redis.call('ZREM', P .. 'due:' .. source, id)
  end
end

for _ = 1, count do
  local kind, source, id, token = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local ours = redis.call('HGET', P .. 'claim:' .. id, 'token') == token
  if not ours then lost[#lost + 1] = id end
  if kind == 'd' then
    local events = tonumber(ARGV[at + 7])
    if ours then
      let_go(source, id, ARGV[at + 4])
      redis.call('SET', P .. 'document:' .. id, ARGV[at + 5], 'EX', documents_s)
      if ARGV[at + 6] ~= '' then redis.call('SET', P .. 'planhat:' .. ARGV[at + 6], id, 'EX', documents_s) end
      for e = at + 8, at + 7 + events * 3, 3 do
        move(ARGV[e + 1], ARGV[e + 2])
        mark(ARGV[e], ARGV[e + 2])
      end
    end
    at = at + 8 + events * 3
  elseif kind == 'l' then
    if ours then
      redis.call('HSET', P .. 'claim:' .. id, 'token', '', 'crashes', 0)
      if ARGV[at + 5] == '1' then redis.call('HINCRBY', P .. 'claim:' .. id, 'refusals', 1) end
      redis.call('ZADD', P .. 'due:' .. source, ARGV[at + 4] == '0' and now or ARGV[at + 4], id)
      if ARGV[at + 6] ~= '' then redis.call('SET', P .. 'document:' .. id, ARGV[at + 6], 'EX', documents_s) end
    end
    at = at + 7
  else
    if ours then
      local letter = ARGV[at + 5]
      local patches = redis.call('LRANGE', P .. 'patches:' .. id, 0, tonumber(ARGV[at + 4]) - 1)
      local ids = {}
      for _, entry in ipairs(patches) do
        local event, from, _, counted = string.match(entry, '^([^\31]*)\31([^\31]*)\31(%d+)\31([01])')
        if counted == '1' then
          ids[#ids + 1] = event
          move(from, 'dead')
          mark(event, 'dead')
        end
        redis.call('RPUSH', P .. 'dead:' .. letter .. ':patches', entry)
      end
      redis.call('EXPIRE', P .. 'dead:' .. letter .. ':patches', dead_s)
      redis.call('HSET', P .. 'dead:' .. letter, 'at', now, 'source', source, 'external', id, 'events', table.concat(ids, ','), 'record', ARGV[at + 6])
      redis.call('EXPIRE', P .. 'dead:' .. letter, dead_s)
      redis.call('ZADD', P .. 'dead', now, letter)
      redis.call('SADD', P .. 'unposted', letter)
      redis.call('SADD', P .. 'deadof:' .. id, letter)
      redis.call('EXPIRE', P .. 'deadof:' .. id, dead_s)
      if ARGV[at + 7] ~= '' then redis.call('SET', P .. 'document:' .. id, ARGV[at + 7], 'EX', documents_s) end
      let_go(source, id, ARGV[at + 4])
    end
    at = at + 8
  end
end
for source, b in pairs(books) do
  for state, n in pairs(b) do
    if n ~= 0 then redis.call('HINCRBY', P .. 'ledger:' .. source, state, n) end
  end
end
return lost
