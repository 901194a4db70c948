#!lua flags=allow-oom
-- settle(prefix; now_ms|0, documents_s, dead_s, count, mark_years, events_s, settlements...) -> {lost external_id...}
-- What a claim became, fenced by its token; the ledger moves in the same step, so that the books always balance.
-- d: source, id, token, patches, document, planhat_id, event_count, [event_id, source, state]...
-- D: the same with flags before event_count: m (leave the mark that outlives the document), and when to look again, in ms
-- l: source, id, token, due_ms, refused 0|1, document|""
-- x: source, id, token, patches, dead_id, record, document|""
-- Patches that came in during the flight stay, and make the item due again at once. What many items need alike is
-- gathered and done in one call: a call costs more than what it does here.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local documents_s, dead_s, count = ARGV[2], ARGV[3], tonumber(ARGV[4])
local stamp = string.format('%013d', now)
local MARK = {delivered = 'd' .. stamp, unchanged = 'u' .. stamp, superseded = 's' .. stamp, filtered = 'f' .. stamp, dead = 'x' .. stamp, discarded = 'z' .. stamp}
local WIDTH = {d = 8, D = 9, l = 7, x = 8}
local MARK_MS = 31536000000
local lost, books = {}, {}
-- A dead letter outlives its events. A patch that continues its archived event (see `vault.py`: c) gets that before it (q).
local function whole(entry)
  local head, event, rest = string.match(entry, '^(([^\31]*)\31[^\31]*\31%d+\31[01]\31)c(.*)$')
  if not head then return entry end
  local record = redis.call('GETRANGE', P .. 'event:' .. event, 14, -1)
  return head .. 'q' .. struct.pack('>I4', #record) .. record .. rest
end

local function move(source, state)
  local b = books[source]
  if not b then b = {pending = 0}; books[source] = b end
  b.pending = b.pending - 1
  b[state] = (b[state] or 0) + 1
end

-- Lists of arguments, sent a slice at a time: Lua's `unpack` has a limit.
local SLICE = 4000
local function each(list, act)
  for i = 1, #list, SLICE do act(unpack(list, i, math.min(i + SLICE - 1, #list))) end
end

local EVENT, DOCUMENT, PATCHES = P .. 'event:', P .. 'document:', P .. 'patches:'
local marks, ends = {}, {}
local function mark(id, state)
  local n = #marks + 1
  marks[n], ends[n] = EVENT .. id, MARK[state]
end

local free, emptied, done_of, due_of = {}, {}, {}, {}
local function let_go(source, id, patches)
  local key = PATCHES .. id
  free[#free + 1] = id
  if redis.call('LLEN', key) <= tonumber(patches) then
    emptied[#emptied + 1] = key
    local of = done_of[source]
    if not of then of = {}; done_of[source] = of end
    of[#of + 1] = id
  else
    redis.call('LTRIM', key, patches, -1)
    local of = due_of[source]
    if not of then of = {}; due_of[source] = of end
    of[#of + 1] = string.format('%.0f', now)
    of[#of + 1] = id
  end
end

local starts, ids, at = {}, {}, 7
for n = 1, count do
  starts[n], ids[n] = at, ARGV[at + 2]
  at = at + WIDTH[ARGV[at]]
  if ARGV[starts[n]] == 'd' or ARGV[starts[n]] == 'D' then at = at + tonumber(ARGV[at - 1]) * 3 end
end
local held = count > 0 and redis.call('HMGET', P .. 'held', unpack(ids)) or {}
local kept, settled, delivered, doubts = {}, {}, {}, {}

for n = 1, count do
  local at = starts[n]
  local kind, source, id, token = ARGV[at], ARGV[at + 1], ids[n], ARGV[at + 3]
  if not held[n] or settled[id] or string.sub(held[n], 1, #token + 1) ~= token .. '\31' then
    lost[#lost + 1] = id
  else
    settled[id] = true
    if kind == 'd' or kind == 'D' then
      local first = at + 8
      if kind == 'D' then
        first = at + 9
        if string.sub(ARGV[at + 7], 1, 1) == 'm' then delivered[#delivered + 1] = string.sub(redis.sha1hex(id), 1, 10) end
        local look = string.match(ARGV[at + 7], '%d+')
        if look then
          doubts[#doubts + 1] = look
          doubts[#doubts + 1] = id
        end
      end
      let_go(source, id, ARGV[at + 4])
      redis.call('SET', DOCUMENT .. id, ARGV[at + 5], 'EX', documents_s)
      if ARGV[at + 6] ~= '' then redis.call('SET', P .. 'planhat:' .. ARGV[at + 6], id, 'EX', documents_s) end
      for e = first, first - 1 + tonumber(ARGV[first - 1]) * 3, 3 do
        move(ARGV[e + 1], ARGV[e + 2])
        mark(ARGV[e], ARGV[e + 2])
      end
    elseif kind == 'l' then
      -- No longer anybody's: an empty token fits none.
      local refusals, first = string.match(held[n], '^[^\31]*\31%d+\31(%d+)\31(%d+)')
      kept[#kept + 1] = id
      kept[#kept + 1] = '\31' .. '0' .. '\31' .. (tonumber(refusals) + tonumber(ARGV[at + 5])) .. '\31' .. first
      local of = due_of[source]
      if not of then of = {}; due_of[source] = of end
      of[#of + 1] = ARGV[at + 4] == '0' and string.format('%.0f', now) or ARGV[at + 4]
      of[#of + 1] = id
      if ARGV[at + 6] ~= '' then redis.call('SET', DOCUMENT .. id, ARGV[at + 6], 'EX', documents_s) end
    else
      local letter = ARGV[at + 5]
      local events = {}
      for _, entry in ipairs(redis.call('LRANGE', PATCHES .. id, 0, tonumber(ARGV[at + 4]) - 1)) do
        local event, from, _, counted = string.match(entry, '^([^\31]*)\31([^\31]*)\31(%d+)\31([01])')
        if counted == '1' then
          events[#events + 1] = event
          move(from, 'dead')
          mark(event, 'dead')
        end
        redis.call('RPUSH', P .. 'dead:' .. letter .. ':patches', whole(entry))
      end
      redis.call('EXPIRE', P .. 'dead:' .. letter .. ':patches', dead_s)
      redis.call('HSET', P .. 'dead:' .. letter, 'at', now, 'source', source, 'external', id, 'events', table.concat(events, ','), 'record', ARGV[at + 6])
      redis.call('EXPIRE', P .. 'dead:' .. letter, dead_s)
      redis.call('ZADD', P .. 'dead', now, letter)
      redis.call('SADD', P .. 'unposted', letter)
      redis.call('SADD', P .. 'deadof:' .. id, letter)
      redis.call('EXPIRE', P .. 'deadof:' .. id, dead_s)
      if ARGV[at + 7] ~= '' then redis.call('SET', DOCUMENT .. id, ARGV[at + 7], 'EX', documents_s) end
      let_go(source, id, ARGV[at + 4])
    end
  end
end

each(free, function(...) redis.call('HDEL', P .. 'held', ...); redis.call('ZREM', P .. 'waiting', ...) end)
each(emptied, function(...) redis.call('DEL', ...) end)
for source, of in pairs(done_of) do each(of, function(...) redis.call('ZREM', P .. 'due:' .. source, ...) end) end
for source, of in pairs(due_of) do each(of, function(...) redis.call('ZADD', P .. 'due:' .. source, ...) end) end
each(kept, function(...) redis.call('HSET', P .. 'held', ...) end)
each(doubts, function(...) redis.call('ZADD', P .. 'doubt', ...) end)
if #delivered > 0 then
  local year = math.floor(now / MARK_MS)
  local marks = P .. 'delivered:' .. year
  each(delivered, function(...) redis.call('SADD', marks, ...) end)
  redis.call('PEXPIREAT', marks, string.format('%.0f', (year + 1 + tonumber(ARGV[5])) * MARK_MS))
end
-- Of an archived event that has expired, or was taken away, this makes a stump. Nearly always all are there. One that its patch
-- continued had no end so far.
for n, key in ipairs(marks) do
  if redis.call('SETRANGE', key, 0, ends[n]) > #ends[n] then redis.call('EXPIRE', key, ARGV[6])
  elseif redis.call('PTTL', key) < 0 then redis.call('DEL', key)
  else redis.call('SET', key, '', 'KEEPTTL') end
end
for source, b in pairs(books) do
  for state, n in pairs(b) do
    if n ~= 0 then redis.call('HINCRBY', P .. 'ledger:' .. source, state, n) end
  end
end
return lost
