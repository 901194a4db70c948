#!lua
-- index(prefix; mode append, cursor before|"", cursor, kept_s, events, chunk|"") -> 1, 0 where somebody else was quicker
-- index(prefix; mode close, revision, chunks, kept_s, events, number|"", facts, block, number of a block that has expired...) -> 1, 0 likewise
-- What came in is taken into the index once: an append is fenced by the cursor that it was read from, a close by the revision,
-- which each change of what stands there moves. The last `chunks` of the tail's beginning become one block.
local P = KEYS[1]
if ARGV[1] == 'append' then
  if (redis.call('HGET', P .. 'index', 'cursor') or '') ~= ARGV[2] then return 0 end
  redis.call('HSET', P .. 'index', 'cursor', ARGV[3])
  if ARGV[6] ~= '' then
    redis.call('RPUSH', P .. 'index:tail', ARGV[6])
    redis.call('EXPIRE', P .. 'index:tail', ARGV[4])
    redis.call('HINCRBY', P .. 'index', 'tail', ARGV[5])
  end
  return 1
end
if (redis.call('HGET', P .. 'index', 'revision') or '0') ~= ARGV[2] then return 0 end
redis.call('HINCRBY', P .. 'index', 'revision', 1)
redis.call('HINCRBY', P .. 'index', 'tail', -ARGV[5])
redis.call('LTRIM', P .. 'index:tail', ARGV[3], -1)
if ARGV[6] ~= '' then
  redis.call('SET', P .. 'index:block:' .. ARGV[6], ARGV[8], 'EX', ARGV[4])
  redis.call('HSET', P .. 'index:blocks', ARGV[6], ARGV[7])
end
for i = 9, #ARGV do redis.call('HDEL', P .. 'index:blocks', ARGV[i]) end
return 1
