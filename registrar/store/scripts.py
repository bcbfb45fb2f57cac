"""The Lua scripts; each one uses the keys of one cluster slot only (docs/redis.md)."""

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final


@dataclass(frozen=True)
class Script:
    """Lua script, and the name by which Redis knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


KEEP: Final = "-"
"""Sent in place of the refusals: the stored ones stay."""

COMMIT: Final = Script("""
-- KEYS location, status, journal
-- ARGV expected version, new version, bindings, nonces, refusals, end of location, end of status,
--      events to publish, number of status words, status words ..., then for each event: number, words ...
local version = redis.call('HGET', KEYS[1], 'v') or ''
if version ~= ARGV[1] then
  local stored = redis.call('HMGET', KEYS[1], 'v', 'b', 'n', 'r', 'e')
  for i = 1, 5 do stored[i] = stored[i] or '' end
  return stored
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'b', ARGV[3], 'n', ARGV[4])
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[1], 'r')
elseif ARGV[5] ~= '-' then
  redis.call('HSET', KEYS[1], 'r', ARGV[5])
end
if ARGV[8] ~= '' then
  local events = redis.call('HGET', KEYS[1], 'e')
  if events and #events < 4000 then events = events:sub(1, -2) .. ',' .. ARGV[8]:sub(2)
  else events = ARGV[8] end
  redis.call('HSET', KEYS[1], 'e', events)
end
-- never shorter: a key that is missing then means that the store has lost it
if redis.call('EXPIREAT', KEYS[1], ARGV[6], 'GT') == 0 and redis.call('TTL', KEYS[1]) < 0 then
  redis.call('EXPIREAT', KEYS[1], ARGV[6])
end
local at = 10 + tonumber(ARGV[9])
if at > 10 then
  redis.call('HSET', KEYS[2], unpack(ARGV, 10, at - 1))
  redis.call('EXPIREAT', KEYS[2], ARGV[7])
end
while ARGV[at] do
  local words = tonumber(ARGV[at])
  redis.call('XADD', KEYS[3], 'MAXLEN', 100, '*', unpack(ARGV, at + 1, at + words))
  redis.call('EXPIREAT', KEYS[3], ARGV[7])
  at = at + 1 + words
end
return 1
""")

PUBLISHED: Final = Script("""
-- KEYS location; ARGV events: they are in the stream now; those of another commit may stand beside them
local events = redis.call('HGET', KEYS[1], 'e')
if not events then return 0 end
local from, to = events:find(ARGV[1]:sub(2, -2), 1, true)
if not from then return 0 end
local before, after = events:sub(2, from - 2), events:sub(to + 2, -2)
local comma = before ~= '' and after ~= '' and ',' or ''
if before .. after == '' then redis.call('HDEL', KEYS[1], 'e')
else redis.call('HSET', KEYS[1], 'e', '[' .. before .. comma .. after .. ']') end
return 1
""")

RESCHEDULE: Final = Script("""
-- KEYS one shard of the index; ARGV phone, the score that was read, the new score or nothing
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1
""")

PINGED: Final = Script("""
-- KEYS status; ARGV node, address, port, when it was seen, round trip or nothing
local shown = redis.call('HMGET', KEYS[1], 'online', 'transport', 'node', 'publicIpAddress', 'publicPort')
if shown[1] ~= '1' or shown[2] ~= 'udp' or shown[3] ~= ARGV[1] or shown[4] ~= ARGV[2] or shown[5] ~= ARGV[3]
then return 0 end
redis.call('HSET', KEYS[1], 'lastSeen', ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'rttMs', ARGV[5]) end
return 1
""")

TAKE: Final = Script("""
-- KEYS wrong passwords of the source, of the account from it, good accounts of the source
-- ARGV now, name of the entry, mark of the account, limit of the account, of the source, window, hold,
--      how long an account stays good, channel, kind and source
-- answers: held until (account), held until (source), 0 when an entry was added; 1 when the account is good
local now, window, hold = tonumber(ARGV[1]), tonumber(ARGV[6]), tonumber(ARGV[7])
local function held(key, limit)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  if redis.call('ZCARD', key) < limit then return 0 end
  return tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]) + hold
end
local function add(key, limit, about)
  redis.call('ZADD', key, ARGV[1], ARGV[2])
  redis.call('ZREMRANGEBYRANK', key, 0, -10 * limit - 1) -- what is given back must displace nothing
  redis.call('EXPIRE', key, window)
  if redis.call('ZCARD', key) >= limit then
    redis.call('PUBLISH', ARGV[9], ARGV[10] .. about .. ' ' .. string.format('%.3f', now + hold))
  end
end
local per_account, per_source = tonumber(ARGV[4]), tonumber(ARGV[5])
local account, source = held(KEYS[2], per_account), held(KEYS[1], per_source)
local good = redis.call('ZSCORE', KEYS[3], ARGV[3])
good = good and tonumber(good) > now - tonumber(ARGV[8])
if good then source = 0 end
if account > now or source > now then return {tostring(account), tostring(source), '0'} end
add(KEYS[2], per_account, ' ' .. ARGV[3])
add(KEYS[1], per_source, '')
return {'0', '0', good and '1' or '0'}
""")

GIVE_BACK: Final = Script("""
-- KEYS wrong passwords of the source, of the account from it
-- ARGV name of the entry, mark of the account, limit of the account, of the source, hold, channel,
--      kind and source
-- an entry that made a log full has told everybody of a hold: now they hear what is left of it
local function remove(key, limit, about)
  local was_full = redis.call('ZCARD', key) >= limit
  if redis.call('ZREM', key, ARGV[1]) == 0 or not was_full then return end
  local newest = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  local held = redis.call('ZCARD', key) >= limit and newest + tonumber(ARGV[5]) or 0
  redis.call('PUBLISH', ARGV[6], ARGV[7] .. about .. ' ' .. string.format('%.3f', held))
end
remove(KEYS[2], tonumber(ARGV[3]), ' ' .. ARGV[2])
remove(KEYS[1], tonumber(ARGV[4]), '')
return 1
""")

GOOD: Final = Script("""
-- KEYS good accounts of a source; ARGV now, mark of the account, how long it stays good, how many are kept
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[4] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
""")

PUT_BAN: Final = Script("""
-- KEYS bans, their ends
-- ARGV id, the ban, its end or inf, now, how many are kept, channel
-- answers 0 if there is no room, 1 if the ban is new, 2 if it was there
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local known = redis.call('HEXISTS', KEYS[1], ARGV[1])
if known == 0 and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[6], ARGV[1])
return 1 + known
""")

LIFT_BAN: Final = Script("""
-- KEYS bans, their ends
-- ARGV id, channel
-- answers 0 if there is no such ban
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1
""")

RESTORE_BANS: Final = Script("""
-- KEYS bans, their ends
-- ARGV version, channel, then for each ban: id, the ban, its end or inf
-- a process writes what it knows if Redis has lost bans; the first one that does is believed
-- a lower version is a loss, too: somebody has made a ban since then
if tonumber(redis.call('HGET', KEYS[1], 'version') or 0) >= tonumber(ARGV[1]) - 1 then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1])
for at = 3, #ARGV, 3 do
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 1 then
    redis.call('ZADD', KEYS[2], ARGV[at + 2], ARGV[at])
  end
end
redis.call('PUBLISH', ARGV[2], '')
return 1
""")

WRONG: Final = Script("""
-- KEYS status, journal
-- ARGV now, address, reason, how many, seconds of a series, least seconds between two entries of the journal,
--      how long both are kept, words of the entry without its count ...
-- answers the count of the entry, 0 when none was written
local known = redis.call('HMGET', KEYS[1], 'wrongPasswordsAt', 'wrongPasswordsSince', 'wrongPasswords',
  'wrongPasswordsTold', 'wrongPasswordsUntold', 'lastRejectedAt', 'lastRejectedReason')
local now, many = tonumber(ARGV[1]), tonumber(ARGV[4])
local since, count = known[2] or ARGV[1], tonumber(known[3] or 0)
if not known[1] or now - tonumber(known[1]) > tonumber(ARGV[5]) then since, count = ARGV[1], 0 end
local untold, told = tonumber(known[5] or 0) + many, known[4] or ''
local written = 0
if told == '' or now - tonumber(told) >= tonumber(ARGV[6]) then
  written, untold, told = untold, 0, ARGV[1]
  redis.call('XADD', KEYS[2], 'MAXLEN', 100, '*', 'count', written, unpack(ARGV, 8))
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
if tonumber(known[6] or 0) < now or known[7] == ARGV[3] then -- this comes late: a refusal since then stays
  redis.call('HSET', KEYS[1],
    'lastRejectedAt', ARGV[1], 'lastRejectedIp', ARGV[2], 'lastRejectedReason', ARGV[3])
end
redis.call('HSET', KEYS[1],
  'wrongPasswordsAt', ARGV[1], 'wrongPasswordsSince', since, 'wrongPasswords', count + many,
  'wrongPasswordsTold', told, 'wrongPasswordsUntold', untold)
if redis.call('EXPIRE', KEYS[1], ARGV[7], 'GT') == 0 and redis.call('TTL', KEYS[1]) < 0 then
  redis.call('EXPIRE', KEYS[1], ARGV[7])
end
return written
""")

PLACE: Final = Script("""
-- KEYS states, order, counts
-- ARGV phone, version, reason or nothing, transport or nothing, entry that must stand or *
-- without a reason the phone leaves the index; without a transport it keeps the one that it has there
-- answers 0 if a newer entry stands, or another one than that
local old = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local version, reason, transport = old:match('^(%d+) (%S+) (%S+)$')
if ARGV[5] ~= '*' then
  if old ~= ARGV[5] then return 0 end
elseif version and tonumber(version) > tonumber(ARGV[2]) then return 0 end
local kind = ARGV[1]:sub(1, 1) == 'u' and 'u ' or 'p '
local before = version and kind .. reason .. ' ' .. transport
local new = ARGV[4] ~= '' and ARGV[4] or transport or '-'
local after = ARGV[3] ~= '' and kind .. ARGV[3] .. ' ' .. new
if before and before ~= after then
  redis.call('ZREM', KEYS[2], before .. ' ' .. ARGV[1])
  if redis.call('HINCRBY', KEYS[3], before, -1) <= 0 then redis.call('HDEL', KEYS[3], before) end
end
if not after then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. new)
if before ~= after then
  redis.call('ZADD', KEYS[2], 0, after .. ' ' .. ARGV[1])
  redis.call('HINCRBY', KEYS[3], after, 1)
end
return 1
""")

STANDS: Final = Script("""
-- KEYS location, status
-- answers the version of the location; online, reason, transport and customer; 1 if the phone was deleted
local known = redis.call('HMGET', KEYS[2], 'online', 'reason', 'transport', 'customer')
local answer = {redis.call('HGET', KEYS[1], 'v') or '0'}
for i = 1, 4 do answer[i + 1] = known[i] or '' end
answer[6] = known[4] == '' and '1' or '0'
return answer
""")

DELETED: Final = Script("""
-- KEYS status
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'customer', '') end
return 1
""")

RESTORED: Final = Script("""
-- KEYS status
-- ARGV customer of a phone that is not deleted after all
if redis.call('HGET', KEYS[1], 'customer') == '' then redis.call('HSET', KEYS[1], 'customer', ARGV[1]) end
return 1
""")

CLEAR: Final = Script("""
-- KEYS states, order, counts
-- ARGV mark of the walk that builds them from now on
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[3], 'building', ARGV[1])
return 1
""")

BUILT: Final = Script("""
-- KEYS counts
-- ARGV mark of the walk that has built them
if redis.call('HGET', KEYS[1], 'building') == ARGV[1] then redis.call('HDEL', KEYS[1], 'building') end
return 1
""")

AGREES: Final = Script("""
-- KEYS states, order, counts
-- answers whether they are whole, and have the same numbers
if redis.call('HEXISTS', KEYS[3], 'building') == 1 then return 0 end
local counts, sum = redis.call('HGETALL', KEYS[3]), 0
for i = 1, #counts, 2 do
  local found = redis.call('ZLEXCOUNT', KEYS[2], '[' .. counts[i] .. ' ', '(' .. counts[i] .. '!')
  if found ~= tonumber(counts[i + 1]) then return 0 end
  sum = sum + found
end
if redis.call('HLEN', KEYS[1]) ~= sum or redis.call('ZCARD', KEYS[2]) ~= sum then return 0 end
return 1
""")

REFUSED: Final = Script("""
-- KEYS refusals, order, minutes
-- ARGV now, address, reason, how many, phone, for how long an address is kept, most addresses, most phones,
--      r or w: refused, or wrong password
local function forget(address)
  redis.call('HDEL', KEYS[1], address)
  redis.call('ZREM', KEYS[2], address)
end
local now, many = tonumber(ARGV[1]), tonumber(ARGV[4])
for _, address in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now - ARGV[6], 'BYSCORE', 'LIMIT', 0, 20)) do
  forget(address)
end
local old = redis.call('HGET', KEYS[1], ARGV[2])
local entry = old and cjson.decode(old) or {first = now, last = now, count = 0, reasons = {}, phones = {}}
entry.last = math.max(entry.last, now)
entry.count = entry.count + many
entry.reasons[ARGV[3]] = (entry.reasons[ARGV[3]] or 0) + many
local known = #entry.phones >= tonumber(ARGV[8])
for _, phone in ipairs(entry.phones) do known = known or phone == ARGV[5] end
if not known then table.insert(entry.phones, ARGV[5]) end
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(entry))
redis.call('ZADD', KEYS[2], entry.last, ARGV[2])
for _, address in ipairs(redis.call('ZRANGE', KEYS[2], 0, -tonumber(ARGV[7]) - 1)) do forget(address) end
-- a ring of sixty minutes: a place that holds another minute begins again
local minute = math.floor(now / 60)
local place = ARGV[9] .. minute % 60
local at, sum = (redis.call('HGET', KEYS[3], place) or ''):match('^(%d+) (%d+)$')
sum = tonumber(at) == minute and tonumber(sum) or 0
redis.call('HSET', KEYS[3], place, minute .. ' ' .. sum + many)
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[6]) end
return 1
""")

CLAIM: Final = Script("""
-- KEYS person, line
-- ARGV call, node, generation, seconds, 1 if exclusive, node and generation of a claim that is void
-- answers the verdict; after taken, also node and generation of the claim in the way
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local known = redis.call('HMGET', KEYS[1],
  'dnd', 'claimCall', 'claimNode', 'claimGeneration', 'claimUntil', 'wrapUntil')
if known[1] == '1' then return {'dnd'} end
local node, generation = known[3] or '', known[4] or ''
local is_taken = known[2] and known[2] ~= ARGV[1] and (tonumber(known[5] or 0) or 0) > now
  and node .. ' ' .. generation ~= ARGV[6]
if ARGV[5] == '1' then
  -- the call itself may be there: it has rung at this person before
  local calls = redis.call('ZRANGE', KEYS[2], string.format('(%.3f', now), '+inf', 'BYSCORE', 'LIMIT', 0, 2)
  for _, call in ipairs(calls) do
    if call ~= ARGV[1] then return {'busy'} end
  end
  if is_taken then return {'taken', node, generation} end
  if (tonumber(known[6] or 0) or 0) > now then return {'wrap'} end
end
redis.call('HSET', KEYS[1], 'lastOffer', string.format('%.3f', now))
if not is_taken then
  redis.call('HSET', KEYS[1], 'claimCall', ARGV[1], 'claimNode', ARGV[2], 'claimGeneration', ARGV[3],
    'claimUntil', string.format('%.3f', now + ARGV[4]))
end
return {'ok'}
""")

RELEASE: Final = Script("""
-- KEYS person; ARGV call, channel, news
if redis.call('HGET', KEYS[1], 'claimCall') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'claimCall', 'claimNode', 'claimGeneration', 'claimUntil')
local watched = tonumber(redis.call('HGET', KEYS[1], 'watchedUntil') or 0) or 0
if watched > tonumber(redis.call('TIME')[1]) then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
""")

TAKE_PART: Final = Script("""
-- KEYS line; ARGV call, for how many seconds
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1])
redis.call('ZADD', KEYS[1], time[1] + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

ANSWERED: Final = Script("""
-- KEYS person, line; ARGV call, for how many seconds, channel, news
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
if redis.call('HGET', KEYS[1], 'claimCall') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'claimCall', 'claimNode', 'claimGeneration', 'claimUntil')
end
redis.call('HSET', KEYS[1], 'lastAnswer', string.format('%.3f', time[1] + time[2] / 1000000))
local watched = tonumber(redis.call('HGET', KEYS[1], 'watchedUntil') or 0) or 0
if watched > tonumber(time[1]) then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
""")

ENDED: Final = Script("""
-- KEYS person, line; ARGV call, seconds of wrap-up or nothing if it was not answered, channel, news
local changed = redis.call('ZREM', KEYS[2], ARGV[1]) == 1
if redis.call('HGET', KEYS[1], 'claimCall') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'claimCall', 'claimNode', 'claimGeneration', 'claimUntil')
  changed = true
end
if ARGV[2] ~= '' then
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1000000
  redis.call('HSET', KEYS[1], 'lastEnd', string.format('%.3f', now),
    'wrapUntil', string.format('%.3f', now + ARGV[2]))
  changed = true
end
local watched = tonumber(redis.call('HGET', KEYS[1], 'watchedUntil') or 0) or 0
if changed and watched > tonumber(redis.call('TIME')[1]) then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return changed and 1 or 0
""")

CHANGE: Final = Script("""
-- KEYS person; ARGV channel, then for each wish: field, value or nothing, news
-- answers the time, then the old values
local time = redis.call('TIME')
local now = string.format('%.3f', time[1] + time[2] / 1000000)
local answer = {now}
for at = 2, #ARGV, 3 do
  local field, value = ARGV[at], ARGV[at + 1]
  local old = redis.call('HGET', KEYS[1], field) or ''
  if value == '' then redis.call('HDEL', KEYS[1], field)
  else redis.call('HSET', KEYS[1], field, value) end
  if field == 'dnd' and value == '' then redis.call('HDEL', KEYS[1], 'dndSince')
  elseif field == 'dnd' and old ~= value then redis.call('HSET', KEYS[1], 'dndSince', now) end
  if old ~= value then redis.call('PUBLISH', ARGV[1], ARGV[at + 2]) end
  table.insert(answer, old)
end
return answer
""")

PRESENT: Final = Script("""
-- KEYS person
-- ARGV new tag, for how many seconds, tag that is to be changed or nothing, open or closed or nothing, note,
-- channel, news
-- answers 0 if the tag is not that of the present state
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local known = redis.call('HMGET', KEYS[1], 'presence', 'presenceNote', 'presenceTag', 'presenceUntil')
local is_there = (tonumber(known[4] or 0) or 0) > now
if ARGV[3] ~= '' and not (is_there and known[3] == ARGV[3]) then return 0 end
local before = is_there and (known[1] or '') .. ' ' .. (known[2] or '') or ''
local after = ''
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], 'presence', 'presenceNote', 'presenceTag', 'presenceUntil')
else
  if ARGV[4] ~= '' then
    after = ARGV[4] .. ' ' .. ARGV[5]
    redis.call('HSET', KEYS[1], 'presence', ARGV[4], 'presenceNote', ARGV[5])
  else after = before end
  redis.call('HSET', KEYS[1], 'presenceTag', ARGV[1], 'presenceUntil', string.format('%.3f', now + ARGV[2]))
end
if after ~= before then redis.call('PUBLISH', ARGV[6], ARGV[7]) end
return 1
""")

STATE: Final = Script("""
-- KEYS person, line; ARGV for how many seconds the person is watched, 0: not at all
-- answers the time, the fields of the person, the calls of the line
local time = redis.call('TIME')
local now = string.format('%.3f', time[1] + time[2] / 1000000)
if ARGV[1] ~= '0' then redis.call('HSET', KEYS[1], 'watchedUntil', time[1] + ARGV[1]) end
return {now, redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], '(' .. now, '+inf', 'BYSCORE')}
""")

ENTER: Final = Script("""
-- KEYS waiting, stages; ARGV call with its process, stage, for how many seconds both are kept
-- answers since when it waits, in milliseconds
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'NX', string.format('%.3f', time[1] * 1000 + time[2] / 1000), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return redis.call('ZSCORE', KEYS[1], ARGV[1])
""")

MOVE: Final = Script("""
-- KEYS waiting, stages; ARGV call with its process, stage
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return 1
""")

SUBSCRIBE: Final = Script("""
-- KEYS subscription
-- ARGV CSeq number, version, end, words ...
-- CSeq number and version never fall
local known = redis.call('HMGET', KEYS[1], 'cseq', 'version')
local cseq = math.max(tonumber(known[1] or 0), tonumber(ARGV[1]))
local version = math.max(tonumber(known[2] or 0), tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'cseq', cseq, 'version', version, unpack(ARGV, 4))
redis.call('EXPIREAT', KEYS[1], ARGV[3])
return {cseq, version}
""")

NOTIFY: Final = Script("""
-- KEYS subscription
-- ARGV node, generation
-- answers the next CSeq number and version, or nothing if the subscription is gone or of another process
local owner = redis.call('HMGET', KEYS[1], 'node', 'generation')
if owner[1] ~= ARGV[1] or owner[2] ~= ARGV[2] then return {} end
return {redis.call('HINCRBY', KEYS[1], 'cseq', 1), redis.call('HINCRBY', KEYS[1], 'version', 1)}
""")

ALL: Final = (
    COMMIT,
    PUBLISHED,
    RESCHEDULE,
    PINGED,
    TAKE,
    GIVE_BACK,
    GOOD,
    PUT_BAN,
    LIFT_BAN,
    RESTORE_BANS,
    WRONG,
    PLACE,
    STANDS,
    DELETED,
    RESTORED,
    CLEAR,
    BUILT,
    AGREES,
    REFUSED,
    CLAIM,
    RELEASE,
    TAKE_PART,
    ANSWERED,
    ENDED,
    CHANGE,
    PRESENT,
    STATE,
    ENTER,
    MOVE,
    SUBSCRIBE,
    NOTIFY,
)
