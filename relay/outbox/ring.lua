#!lua flags=allow-oom
-- ring(prefix; now_ms|0, wake_ms, clock|"") -> generation|0
-- A new generation where something is due (or delivered and to be looked at again), nobody owns the lane and delivery is not
-- held; its caller enqueues the job. A clock that went back is lived through: what was due by the old one is due now, and
-- what was to wait waits as long as it had to; and the bell is rung whatever is due: a worker that waits for one with a
-- time-out of the old clock's would give no sign of life meanwhile. `clock`: now_ms is what the server's own clock says.
local P = KEYS[1]
local now = tonumber(ARGV[1])
if now == 0 then local t = redis.call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local sources = redis.call('SMEMBERS', P .. 'sources')

local function text(number) return string.format('%.0f', number) end

-- What was due by the old clock is due now, so many at a time; false where some are left.
local function due_now(key, last)
  local due = redis.call('ZRANGEBYSCORE', key, '(' .. text(now), text(last), 'LIMIT', 0, 2000)
  local moved = {}
  for _, name in ipairs(due) do moved[#moved + 1] = text(now); moved[#moved + 1] = name end
  if #moved > 0 then redis.call('ZADD', key, 'XX', unpack(moved)) end
  return #due < 2000
end

-- What began by the old clock began as much earlier, so many at a time; false where some are left.
local function began_earlier(key, gap)
  local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 2000)
  local moved = {}
  for i = 1, #ahead, 2 do
    moved[#moved + 1] = text(math.min(now, ahead[i + 1] - gap))
    moved[#moved + 1] = ahead[i]
  end
  if #moved > 0 then redis.call('ZADD', key, 'XX', unpack(moved)) end
  return #ahead < 4000
end

local function sooner(key, after, gap)
  local later = redis.call('ZRANGEBYSCORE', key, '(' .. text(after), '+inf', 'WITHSCORES')
  for from = 1, #later, 4000 do
    local moved = {}
    for i = from, math.min(from + 3999, #later), 2 do
      moved[#moved + 1] = text(later[i + 1] - gap)
      moved[#moved + 1] = later[i]
    end
    redis.call('ZADD', key, 'XX', unpack(moved))
  end
end

-- A test's own clock says nothing of the server's, but where it says so.
local watched = ARGV[1] == '0' or ARGV[3] == 'clock'
local last = watched and tonumber(redis.call('GET', P .. 'clock') or '0') or 0
local went_back = now + 2000 < last
if went_back then
  local gap, all, keys = last - now, true, {P .. 'doubt', P .. 'directory:parked'}
  for _, source in ipairs(sources) do keys[#keys + 1] = P .. 'due:' .. source end
  for _, key in ipairs(keys) do all = due_now(key, last) and all end
  all = began_earlier(P .. 'waiting', gap) and all
  if all then
    for _, key in ipairs(keys) do sooner(key, last, gap) end
    sooner(P .. 'calls', now, gap)
    local held = redis.call('HMGET', P .. 'delivery', 'until_ms', 'reopened_ms')
    local until_ms, reopened_ms = tonumber(held[1] or '0'), tonumber(held[2] or '0')
    if until_ms > now then redis.call('HSET', P .. 'delivery', 'until_ms', text(math.max(now, until_ms - gap))) end
    -- Else it would stay as slow as right after an outage.
    if reopened_ms > now then redis.call('HSET', P .. 'delivery', 'reopened_ms', text(math.min(now, reopened_ms - gap))) end
    redis.call('HINCRBY', P .. 'life', 'clock_back', 1)
    redis.call('HSET', P .. 'life', 'clock_back_ms', text(gap))
    redis.call('SET', P .. 'clock', text(now))
  end
  -- An expiry that was set by the old clock comes as much later.
  if redis.call('PTTL', P .. 'wake') > 2 * ARGV[2] then redis.call('PEXPIRE', P .. 'wake', ARGV[2]) end
elseif watched and now - last > 5000 then
  redis.call('SET', P .. 'clock', text(now))
end

if redis.call('EXISTS', P .. 'wake') == 1 then return 0 end

local function due(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) <= now
end

local function wanted()
  local d = redis.call('HMGET', P .. 'delivery', 'state', 'until_ms')
  if d[1] == 'paused' or (d[1] and d[1] ~= 'open' and tonumber(d[2] or '0') > now) then return false end
  if due(P .. 'doubt') then return true end
  for _, source in ipairs(sources) do
    if redis.call('SISMEMBER', P .. 'paused', source) == 0 and due(P .. 'due:' .. source) then return true end
  end
  return false
end

if not went_back and not wanted() then return 0 end
local generation = redis.call('INCR', P .. 'generation')
redis.call('SET', P .. 'wake', generation, 'PX', ARGV[2])
return generation
