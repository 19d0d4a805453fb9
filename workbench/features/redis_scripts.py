"""What Redis does in one act each. Times are whole microseconds, exact in Lua's numbers until the year 2255.

A view's keys: `meta` (epoch: which filling of the state this is; clock: the stream's watermark; arrivals: the number
of the newest event; `taken:REPLICA`: the event that a replica took in last, behind the number of its call and the
clock before: it can be taken back), `events` (id -> record), `times` (ids by event time); per entity its versions by
time, and under the same key with `+` those of them that a label called positive. Each script first compares the epoch:
after a loss of the data none answers from the rest. None may run where memory is full (`#!lua` without flags), so that
what is refused is refused whole.
"""

LOST = "LOST"
ANY, NEW, PEEK = "any", "new", "peek"  # which events are meant, and whether they stay
EXPIRED_AT_ONCE = 16  # expired events that one new event takes away: more than come, and never long

_HEAD = (
    """#!lua
local said = redis.call('HMGET', KEYS[1], 'epoch', 'clock', 'arrivals')
if said[1] ~= ARGV[1] then return redis.error_reply('"""
    + LOST
    + """ the state is not the one that was filled') end
local clock = tonumber(said[2])
local function text(number) return string.format('%.0f', number) end
"""
)

# KEYS: meta, times, events, then the versions of each entity. ARGV: epoch, time, memory, id, record, prefix, replica,
# the number of its call, then for each entity: the version, the oldest and newest time to look at, and whether labels
# are looked at; then which KEYS has the events that a sequence shows (0: there is none), how many, from and until when,
# the number of that entity and, for all entities, how far back an event looks, its delay and whether it looks at
# labels; last, whether any event is meant, only a new one, or one that leaves nothing behind. Clock, the event's
# number, the newest number that it could see, and what was looked at: nothing where it is from before all memory, or is
# held and a new one is meant. What it expires goes by the clock before it, since it may be taken back. An event that is
# asked again by anyone is nobody's to take back. Of earlier events come the record and what their other entities did,
# also of those that are tied with the last: ids are not compared.
OBSERVE = (
    _HEAD
    + """
local time, memory, id, newest = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(said[3])
if time < clock - memory then
  return '\\148' .. cmsgpack.pack(clock, newest, newest) .. '\\192'
end

local function trim(entities, oldest)
  for _, entity in pairs(entities) do
    redis.call('ZREMRANGEBYSCORE', ARGV[6] .. entity, '-inf', oldest)
    redis.call('ZREMRANGEBYSCORE', ARGV[6] .. entity .. '+', '-inf', oldest)
  end
end

local function release(id)
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local call, other = fields[i + 1]:match('^(%d+) %-?%d+ (.*)$')
    if other == id and not (fields[i] == ARGV[7] and call == ARGV[8]) then redis.call('HDEL', KEYS[1], fields[i]) end
  end
end

local arrival
local how = ARGV[#ARGV]
local held = redis.call('HGET', KEYS[3], id)
if held then
  arrival = cmsgpack.unpack(held)[1]
  if how == 'new' then return '\\148' .. cmsgpack.pack(clock, arrival, newest) .. '\\192' end
  if how == 'any' then release(id) end
elseif how == 'peek' then
  arrival = 0
  clock = math.max(clock, time)
  for i = 4, #KEYS do redis.call('ZADD', KEYS[i], ARGV[2], ARGV[4 * i - 7]) end
else
  newest = newest + 1
  arrival = newest
  local taken = ARGV[8] .. ' ' .. text(clock) .. ' ' .. id
  local oldest = '(' .. text(clock - memory)
  clock = math.max(clock, time)
  redis.call('HSET', KEYS[1], 'clock', text(clock), 'arrivals', text(newest), ARGV[7], taken)
  redis.call('HSET', KEYS[3], id, ARGV[5]:sub(1, 1) .. cmsgpack.pack(arrival) .. ARGV[5]:sub(3))
  redis.call('ZADD', KEYS[2], ARGV[2], id)
  for i = 4, #KEYS do redis.call('ZADD', KEYS[i], ARGV[2], ARGV[4 * i - 7]) end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', oldest, 'LIMIT', 0, """
    + str(EXPIRED_AT_ONCE)
    + """)) do
    local record = cmsgpack.unpack(redis.call('HGET', KEYS[3], gone))
    trim(record[4], oldest)
    for _, version in ipairs(record[6]) do trim(version[3], oldest) end
    redis.call('HDEL', KEYS[3], gone)
    redis.call('ZREM', KEYS[2], gone)
  end
end

local parts = {''}
local function look(key, oldest, newest)
  local found = redis.call('ZRANGEBYSCORE', key, oldest, newest)
  parts[#parts + 1] = struct.pack('>BI4', 0xdd, #found) .. table.concat(found)
end
for i = 4, #KEYS do
  local oldest = text(math.max(tonumber(ARGV[4 * i - 6]), clock - memory))
  look(KEYS[i], oldest, ARGV[4 * i - 5])
  if ARGV[4 * i - 4] == '1' then look(KEYS[i] .. '+', oldest, ARGV[4 * i - 5]) end
end
local from = 4 * #KEYS - 3
local shown, left, oldest = tonumber(ARGV[from]), tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
local own = ARGV[from + 4]
local function look_back(record)
  for number = 1, (#ARGV - from - 5) / 3 do
    local at, entity = from + 2 + 3 * number, record[4][number]
    if entity and tostring(number) ~= own then
      local since = text(math.max(record[2] - tonumber(ARGV[at]) + 1, clock - memory))
      look(ARGV[6] .. entity, since, text(record[2] - tonumber(ARGV[at + 1])))
      if ARGV[at + 2] == '1' then look(ARGV[6] .. entity .. '+', since, text(record[2] - tonumber(ARGV[at + 1]))) end
    end
  end
end
if shown > 0 then
  local last
  oldest = text(math.max(oldest, clock - memory))
  local found = redis.call('ZREVRANGEBYSCORE', KEYS[shown], ARGV[from + 3], oldest, 'WITHSCORES')
  for i = 1, #found, 2 do
    local version, score = found[i], tonumber(found[i + 1])
    if left == 0 and score < last then break end
    local begin = cmsgpack.unpack_one(version, version:byte() == 0xdc and 3 or 1)
    local behind = cmsgpack.unpack_one(version, begin)
    local _, known = cmsgpack.unpack_one(version, behind)
    local other = version:sub(begin + 1, behind)
    if known <= time and other ~= id then
      if score < time and left > 0 then left, last = left - 1, score end
      local held = redis.call('HGET', KEYS[3], other)
      parts[#parts + 1] = held
      look_back(cmsgpack.unpack(held))
    end
  end
end
if how == 'peek' and not held then
  for i = 4, #KEYS do redis.call('ZREM', KEYS[i], ARGV[4 * i - 7]) end
end
parts[1] = '\\148' .. cmsgpack.pack(clock, arrival, newest) .. struct.pack('>BI4', 0xdd, #parts - 1)
return table.concat(parts)
"""
)

# KEYS: meta, times, events. ARGV: epoch, prefix, replica, and the number of its call. Takes the event that the replica
# took in last, if in that call, out of the state; of the clock, what the others have made of it stays.
TAKE_BACK = (
    _HEAD
    + """
local taken = redis.call('HGET', KEYS[1], ARGV[3])
local call, before, id = (taken or ''):match('^(%d+) (%-?%d+) (.*)$')
if call ~= ARGV[4] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[3])
local held = redis.call('HGET', KEYS[3], id)
if not held then return 0 end
local record = cmsgpack.unpack(held)

local function remove(entities, time)
  for _, entity in pairs(entities) do
    for _, key in ipairs({ARGV[2] .. entity, ARGV[2] .. entity .. '+'}) do
      for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, text(time), text(time))) do
        local begin = cmsgpack.unpack_one(member, member:byte() == 0xdc and 3 or 1)
        local behind = cmsgpack.unpack_one(member, begin)
        if member:sub(begin + 1, behind) == id then redis.call('ZREM', key, member) end
      end
    end
  end
end

remove(record[4], record[2])
for _, version in ipairs(record[6]) do remove(version[3], version[2]) end
redis.call('HDEL', KEYS[3], id)
redis.call('ZREM', KEYS[2], id)
if clock == record[2] then
  local newest = tonumber(before)
  if tonumber(said[3]) > record[1] then
    local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    newest = math.max(newest, math.min(clock, tonumber(last or before)))
  end
  redis.call('HSET', KEYS[1], 'clock', text(newest))
end
return 1
"""
)

# KEYS: meta, times, events. ARGV: epoch, memory, id. The watermark, how many events are remembered, and a record.
LOOK = (
    _HEAD
    + """
local count = redis.call('ZCOUNT', KEYS[2], text(clock - tonumber(ARGV[2])), '+inf')
return {text(clock), count, redis.call('HGET', KEYS[3], ARGV[3])}
"""
)

# KEYS: meta, times, events, then a key per change. ARGV: epoch, id, the record as it was read, the new one, the time to
# remember it by, then for each change: score (none: remove) and member. 0 where somebody else was faster.
SWAP = (
    _HEAD
    + """
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
redis.call('ZADD', KEYS[2], 'GT', ARGV[5], ARGV[2])
for i = 4, #KEYS do
  local score, member = ARGV[2 * i - 2], ARGV[2 * i - 1]
  if score == '' then redis.call('ZREM', KEYS[i], member) else redis.call('ZADD', KEYS[i], score, member) end
end
return 1
"""
)

# KEYS: meta. ARGV: the epoch of whoever wants to fill the state, and for how many ms it may be
# silent. The epoch that rules.
CLAIM = """#!lua
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch then return epoch end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'clock', '0', 'arrivals', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return ARGV[1]
"""

# KEYS: meta. ARGV: epoch, and for how many ms whoever fills may be silent from now on.
RENEW = (
    _HEAD
    + """
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)

# KEYS: meta, times, events, and the key that is written. ARGV: epoch, a command, and what follows the key. Whoever
# filled too slowly, and was taken for dead, must not write into what another one has filled meanwhile.
WRITE = (
    _HEAD
    + """
return redis.call(ARGV[2], KEYS[4], unpack(ARGV, 3))
"""
)

# KEYS: meta. ARGV: epoch, and the one by which the filled state is known.
PUBLISH = (
    _HEAD
    + """
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
return redis.call('PERSIST', KEYS[1])
"""
)
