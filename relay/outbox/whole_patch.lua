-- Included by scripts that hand a patch on. One that continues its archived event (see `vault.py`: c) gets that before it (q).
local function whole(entry)
  local head, event, rest = string.match(entry, '^(([^\31]*)\31[^\31]*\31%d+\31[01]\31)c(.*)$')
  if not head then return entry end
  local record = redis.call('GETRANGE', P .. 'event:' .. event, 14, -1)
  return head .. 'q' .. struct.pack('>I4', #record) .. record .. rest
end
