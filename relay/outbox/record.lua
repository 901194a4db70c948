#!lua
-- record(prefix; now_ms|0, events_s, dedupe_s, dead_s, wake_ms, count, kept_s, entries...) -> {generation|0, now_ms, total, accepted, verdicts...}
-- All events of all waiting requests become durable in one step: dedupe claim, patch, due entry, raw event, ledger.
-- An entry: event_id, source, verdict p|f|x|n, external_id, patch, record, dead, rate_per_s, known_as, seen_count, kept_count,
-- the id as 12 bytes|"", seen_keys..., kept_keys... Dedupe keys expire after dedupe_s, kept ones after kept_s. n: the keys are noted and nothing else.
-- The archived event is the dedupe memory of its own id. What an older release wrote with looks for a key of that id: one is
-- written as well in the hour after this release first wrote where others had.
-- A second letter, t: behind these follow thread, first, begins 0|1, own_count, named_count, own..., named...: the thread that
-- it was mapped for, and the keys that it is known by in the map of threads, which expires kept_s after a thread's last mail.
-- total: how many were ever accepted, these `accepted` included; 0 where none of these was.
-- A verdict: "" accepted, "!" over the source's rate, "~" and a thread: it belongs to that one, and is to be mapped again;
-- otherwise the id under which it was accepted before.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local events_s, dedupe_s, dead_s, wake_ms, count = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local kept_s = ARGV[7]
local stamp = string.format('%013d', now)
-- A number is printed and read again by every command that it is given to.
local now_text = string.format('%.0f', now)
local counted = '\31' .. now_text .. '\31' .. '1' .. '\31'
local logs, dues = {}, {}
local minute = math.floor(now / 60000)
local out, at, books, rates = {}, 8, {}, {}

local function book(source, state, n)
  local b = books[source]
  if not b then b = {}; books[source] = b end
  b[state] = (b[state] or 0) + n
end

local since = redis.call('GET', P .. 'proof')
if not since then
  since = redis.call('EXISTS', P .. 'sources') == 1 and now_text or '0'
  redis.call('SET', P .. 'proof', since)
end
local older_beside = since ~= '0' and now - tonumber(since) < 3600000

local function note(source, id, from, kept_from, to)
  for k = from, to do
    redis.call('SET', P .. 'seen:' .. source .. ':' .. ARGV[k], id, 'EX', k < kept_from and dedupe_s or kept_s)
  end
end

local function over_rate(source, rate)
  local r = rates[source]
  if not r then
    local held = redis.call('HMGET', P .. 'rate:' .. source, 'tokens', 'at')
    local burst = math.max(rate, 1)
    local tokens = burst
    if held[1] then tokens = math.min(burst, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * rate / 1000) end
    r = {tokens = tokens}
    rates[source] = r
  end
  if r.tokens < 1 then return true end
  r.tokens = r.tokens - 1
  return false
end

-- include thread_place

-- What is known from now on. `t`: where the thread's arguments begin. What was put under the name of a mail that came only now,
-- and that answers another thread, moves there: `rethread` has the events that are to be mapped again.
local function remember(id, t, root, held, mine, mine_held)
  local begins, own, named = ARGV[t + 2] == '1', tonumber(ARGV[t + 3]), tonumber(ARGV[t + 4])
  if not root then
    root, held = ARGV[t + 1], (begins and '=' or '?') .. ARGV[t]
  elseif begins and string.sub(held, 1, 1) == '?' then
    held = '=' .. ARGV[t]
    redis.call('DEL', P .. 'threaded:' .. root)
  end
  local unsettled = string.sub(held, 1, 1) == '?'
  if mine and mine ~= root and string.sub(mine_held, 1, 1) == '?' then
    redis.call('SET', P .. 'thread:' .. mine, root, 'EX', kept_s)
    local moved = redis.call('LRANGE', P .. 'threaded:' .. mine, 0, -1)
    if #moved > 0 then
      redis.call('RPUSH', P .. 'rethread', unpack(moved))
      redis.call('EXPIRE', P .. 'rethread', events_s)
      if unsettled then redis.call('RPUSH', P .. 'threaded:' .. root, unpack(moved)) end
      redis.call('DEL', P .. 'threaded:' .. mine)
    end
  end
  redis.call('SET', P .. 'thread:' .. root, held, 'EX', kept_s)
  local named_at = t + 5 + own
  for k = t + 5, named_at + named - 1 do
    local key = ARGV[k]
    if key ~= root then
      -- Its own keys lead to where it is, those that it names stay where they are.
      local there = k < named_at and redis.call('GET', P .. 'thread:' .. key) or ''
      if k < named_at and not string.match(there or '', '^[=?]') then
        redis.call('SET', P .. 'thread:' .. key, root, 'EX', kept_s)
      elseif redis.call('EXPIRE', P .. 'thread:' .. key, kept_s) == 0 then
        redis.call('SET', P .. 'thread:' .. key, root, 'EX', kept_s)
      end
    end
  end
  if unsettled then
    if redis.call('RPUSH', P .. 'threaded:' .. root, id) > 1000 then redis.call('LTRIM', P .. 'threaded:' .. root, -1000, -1) end
    redis.call('EXPIRE', P .. 'threaded:' .. root, events_s)
  end
end

-- nil where it is there already. One that its waiting patch continues (see `vault.py`: c) stays until it is settled.
local function archive(id, verdict, record, patch)
  if string.byte(patch) == 99 then return redis.call('SET', P .. 'event:' .. id, verdict .. stamp .. record, 'NX') end
  return redis.call('SET', P .. 'event:' .. id, verdict .. stamp .. record, 'EX', events_s, 'NX')
end

-- The ids of a conversation's events, behind each other. How long they are kept is not said again with each.
local STORY_S = events_s + math.floor(events_s / 8)
local function in_story(key, packed)
  if redis.call('SET', key, packed, 'EX', STORY_S, 'NX') then return end
  local size = redis.call('APPEND', key, packed)
  if size > 14400 then redis.call('SET', key, redis.call('GETRANGE', key, size - 12000, -1), 'KEEPTTL') end
  if redis.call('TTL', key) < tonumber(events_s) then redis.call('EXPIRE', key, STORY_S) end
end

local pushed = false
for i = 1, count do
  local id, source, verdict, external = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local patch, record, dead = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local rate, known_as, keys = tonumber(ARGV[at + 7]), ARGV[at + 8], tonumber(ARGV[at + 9])
  local packed, seen_at = ARGV[at + 11], at + 12
  local kept_at = seen_at + keys
  at = kept_at + tonumber(ARGV[at + 10])
  local seen_end, t = at, nil
  if #verdict == 2 then
    verdict, t = string.sub(verdict, 1, 1), at
    at = at + 5 + tonumber(ARGV[at + 3]) + tonumber(ARGV[at + 4])
  end
  local before = false
  -- Nearly every event has one key or none beside its id: asked and written in one command, and its event likewise below.
  local quick = verdict ~= 'n' and not t and rate == 0 and seen_end - seen_at < 2
  if not quick then
    for k = seen_at, seen_end - 1 do
      before = before or redis.call('GET', P .. 'seen:' .. source .. ':' .. ARGV[k])
    end
    if not before and verdict ~= 'n' and redis.call('EXISTS', P .. 'event:' .. id) == 1 then before = id end
  else
    if seen_at < seen_end then
      local life = seen_at < kept_at and dedupe_s or kept_s
      before = redis.call('SET', P .. 'seen:' .. source .. ':' .. ARGV[seen_at], id, 'EX', life, 'NX', 'GET')
    end
    if not before and not archive(id, verdict, record, patch) then before = id end
  end
  local root, held, mine, mine_held, elsewhere
  if t and not before then
    root, held, mine, mine_held = place(t + 5, tonumber(ARGV[t + 3]), tonumber(ARGV[t + 4]))
    if root and string.sub(held, 2) ~= ARGV[t] then elsewhere = string.sub(held, 2) end
  end
  if before then
    if verdict ~= 'n' then book(source, 'duplicate', 1) end
    out[i] = before
  elseif verdict == 'n' then
    note(source, id, seen_at, kept_at, seen_end - 1)
    out[i] = ''
  elseif elsewhere then
    out[i] = '~' .. elsewhere
  elseif rate > 0 and over_rate(source, rate) then
    out[i] = '!'
  else
    if t then remember(id, t, root, held, mine, mine_held) end
    if not quick then
      note(source, id, seen_at, kept_at, seen_end - 1)
      archive(id, verdict, record, patch)
    end
    if older_beside then redis.call('SET', P .. 'seen:' .. source .. ':' .. id, id, 'EX', dedupe_s) end
    local log = logs[source]
    if log then log[#log + 1] = id else logs[source] = {id} end
    if known_as ~= '' then redis.call('SET', P .. 'known:' .. source .. ':' .. known_as, id, 'EX', events_s, 'NX') end
    if external ~= '' then
      if packed == '' then
        local of = P .. 'events:' .. external
        if redis.call('RPUSH', of, id) > 1000 then redis.call('LTRIM', of, -1000, -1) end
        redis.call('EXPIRE', of, events_s)
      else
        in_story(P .. 'ids:' .. external, packed)
      end
    end
    book(source, 'accepted', 1)
    if verdict == 'p' then
      local entry = id .. '\31' .. source .. counted .. patch
      if redis.call('RPUSH', P .. 'patches:' .. external, entry) == 1 then
        local due = dues[source]
        if due then due[#due + 1] = now_text; due[#due + 1] = external else dues[source] = {now_text, external} end
      end
      book(source, 'pending', 1)
      pushed = true
    elseif verdict == 'f' then
      book(source, 'filtered', 1)
    else
      local letter = 'dead_' .. string.sub(id, 5)
      redis.call('HSET', P .. 'dead:' .. letter, 'at', now_text, 'source', source, 'external', external, 'events', id, 'record', dead)
      redis.call('EXPIRE', P .. 'dead:' .. letter, dead_s)
      redis.call('ZADD', P .. 'dead', now_text, letter)
      redis.call('SADD', P .. 'unposted', letter)
      book(source, 'dead', 1)
    end
    out[i] = ''
  end
end

for source, due in pairs(dues) do
  for from = 1, #due, 2000 do redis.call('ZADD', P .. 'due:' .. source, unpack(due, from, math.min(from + 1999, #due))) end
end
for source, ids in pairs(logs) do
  local log, length = P .. 'log:' .. source .. ':' .. minute, 0
  for from = 1, #ids, 1000 do length = redis.call('RPUSH', log, unpack(ids, from, math.min(from + 999, #ids))) end
  if length == #ids then
    redis.call('EXPIRE', log, events_s)
    local minutes = P .. 'minutes:' .. source .. ':' .. math.floor(minute / 1440)
    redis.call('SETBIT', minutes, minute % 1440, 1)
    redis.call('EXPIRE', minutes, events_s + 86400)
  end
end
for source, r in pairs(rates) do
  redis.call('HSET', P .. 'rate:' .. source, 'tokens', tostring(r.tokens), 'at', now)
  redis.call('EXPIRE', P .. 'rate:' .. source, 120)
end
local accepted = 0
for source, b in pairs(books) do
  redis.call('SADD', P .. 'sources', source)
  accepted = accepted + (b.accepted or 0)
  for state, n in pairs(b) do redis.call('HINCRBY', P .. 'ledger:' .. source, state, n) end
end

-- Moves with every accepted event, and only ever up: what is smaller than it was is an older state of this Redis.
local total = accepted > 0 and redis.call('INCRBY', P .. 'accepted', accepted) or 0

local generation = 0
if pushed and redis.call('EXISTS', P .. 'wake') == 0 then
  local d = redis.call('HMGET', P .. 'delivery', 'state', 'until_ms')
  local held = d[1] == 'paused' or (d[1] and d[1] ~= 'open' and tonumber(d[2] or '0') > now)
  if not held then
    generation = redis.call('INCR', P .. 'generation')
    redis.call('SET', P .. 'wake', generation, 'PX', wake_ms)
  end
end
table.insert(out, 1, accepted)
table.insert(out, 1, total)
table.insert(out, 1, now)
table.insert(out, 1, generation)
return out
