#!lua flags=allow-oom
-- commands(prefix; [command, key behind the prefix, count, argument...]...) -> answers
-- Small changes beside the events (signs of life, notes, what a long operation has done): all of them in one step, and
-- also while memory is full, since whoever frees memory needs them.
local P = KEYS[1]
local out, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at + 2])
  out[#out + 1] = redis.call(ARGV[at], P .. ARGV[at + 1], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end
return out
