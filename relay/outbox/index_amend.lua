#!lua flags=allow-oom
-- index_amend(prefix; mode amend, revision, [tail|block, place in the tail|number, instead, number|"", facts|""]...) -> 1, 0 where it changed meanwhile
-- index_amend(prefix; mode rewind, revision, cursor, number of a block that goes...) -> 1, 0 likewise
-- What must no longer be found is taken out in the place where it stands, of a block in another of a new number, so that nobody
-- reads half of each; or the index is set back to `cursor`, its tail gone, to
-- be made anew from there. Also while memory is full: what is erased must go.
local P = KEYS[1]
if (redis.call('HGET', P .. 'index', 'revision') or '0') ~= ARGV[2] then return 0 end
redis.call('HINCRBY', P .. 'index', 'revision', 1)
if ARGV[1] == 'rewind' then
  redis.call('HSET', P .. 'index', 'cursor', ARGV[3], 'tail', 0)
  redis.call('DEL', P .. 'index:tail')
  for i = 4, #ARGV do
    redis.call('DEL', P .. 'index:block:' .. ARGV[i])
    redis.call('HDEL', P .. 'index:blocks', ARGV[i])
  end
  return 1
end
for i = 3, #ARGV, 5 do
  if ARGV[i] == 'tail' then
    redis.call('LSET', P .. 'index:tail', ARGV[i + 1], ARGV[i + 2])
  else
    local left = redis.call('PTTL', P .. 'index:block:' .. ARGV[i + 1])
    redis.call('DEL', P .. 'index:block:' .. ARGV[i + 1])
    redis.call('HDEL', P .. 'index:blocks', ARGV[i + 1])
    if left > 0 then
      redis.call('SET', P .. 'index:block:' .. ARGV[i + 3], ARGV[i + 2], 'PX', left)
      redis.call('HSET', P .. 'index:blocks', ARGV[i + 3], ARGV[i + 4])
    end
  end
end
return 1
