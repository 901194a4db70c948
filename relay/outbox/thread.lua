#!lua flags=no-writes
-- thread(prefix; count, [own_count, named_count, own..., named...]...) -> {name|""...}
-- The thread of each mail, by what is known of the mails that it names, and of itself.
local P = KEYS[1]
-- include thread_place
local out, at = {}, 2
for i = 1, tonumber(ARGV[1]) do
  local own, named = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local root, held = place(at + 2, own, named)
  out[i] = root and string.sub(held, 2) or ''
  at = at + 2 + own + named
end
return out
