-- Part of record.lua and thread.lua. The map of threads: a key leads to another, and in the end to a root, which holds the
-- thread's name behind a mark: "=" the mail that began it has come, "?" it has not.

local function root_of(key)
  for _ = 1, 64 do
    local held = redis.call('GET', P .. 'thread:' .. key)
    if not held then return nil end
    local mark = string.sub(held, 1, 1)
    if mark == '=' or mark == '?' then return key, held end
    key = held
  end
end

-- The root that the mail's thread has, and what it holds: the first of the keys it names that is known decides, else its own;
-- then those of its own where they are another's.
local function place(own_at, own, named)
  local root, held, mine, mine_held
  for k = own_at + own, own_at + own + named - 1 do
    root, held = root_of(ARGV[k])
    if root then break end
  end
  for k = own_at, own_at + own - 1 do
    mine, mine_held = root_of(ARGV[k])
    if mine then break end
  end
  if not root then return mine, mine_held end
  return root, held, mine, mine_held
end
