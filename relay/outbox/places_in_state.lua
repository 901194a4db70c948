#!lua flags=no-writes
-- places_in_state(prefix; list of events behind the prefix, first, last, letters) -> {position...}
-- Where in a list of events those are that are in one of the states now, without their bodies going anywhere.
local P = KEYS[1]
local found, first = {}, tonumber(ARGV[2])
for n, id in ipairs(redis.call('LRANGE', P .. ARGV[1], first, ARGV[3])) do
  local letter = redis.call('GETRANGE', P .. 'event:' .. id, 0, 0)
  if letter ~= '' and string.find(ARGV[4], letter, 1, true) then found[#found + 1] = first + n - 1 end
end
return found
