
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>
#include "ngx_http_refine_scripts.h"


/*
 * Counts "shown", a table by label of tables by step; of new labels only as
 * many as are told apart.  A label is known by its "served:".
 */

#define NGX_HTTP_REFINE_SCRIPT_SHOWN                                          \
    "local other = 'other\\0other'\n"                                         \
    "for label, steps in pairs(shown) do\n"                                   \
    "  if label ~= other\n"                                                   \
    "     and not redis.call('HGET', stats, 'served:' .. label)\n"            \
    "  then\n"                                                                \
    "    local known = redis.call('HGET', stats, 'surfaces')\n"               \
    "    if (tonumber(known or 0) or 32) < 32 then\n"                         \
    "      redis.call('HINCRBY', stats, 'surfaces', 1)\n"                     \
    "      redis.call('HINCRBY', stats, 'served:' .. label, 0)\n"             \
    "    else\n"                                                              \
    "      label = other\n"                                                   \
    "    end\n"                                                               \
    "  end\n"                                                                 \
    "  for step, n in pairs(steps) do\n"                                      \
    "    redis.call('HINCRBY', stats, step .. label, n)\n"                    \
    "  end\n"                                                                 \
    "end\n"


/* XPENDING would list the consumers with each answer, XINFO GROUPS does not */

static const char  ngx_http_refine_script_store[] =
    "local events, stats = KEYS[1], KEYS[2]\n"
    "local max, room, each = tonumber(ARGV[1]), tonumber(ARGV[3]),\n"
    "                         tonumber(ARGV[4])\n"
    "local len = redis.call('XLEN', events)\n"
    "local bytes = tonumber(redis.call('HGET', stats, 'bytes') or 0)\n"
    "local size = math.max(bytes, 0) + len * each\n"
    "if len == 0 then bytes, size = -bytes, 0 else bytes = 0 end\n"
    "local names = { 'items_served', 'click', 'view', 'add_to_cart',\n"
    "                'purchase' }\n"
    "local counts = { 0, 0, 0, 0, 0 }\n"
    "local steps = { 'served:', 'clicked:', 'viewed:', 'carted:',\n"
    "                'purchased:' }\n"
    "local pos, stored, groups, shown = 5, 0, {}, {}\n"
    "local function show(t, label)\n"
    "  local row = shown[label] or {}\n"
    "  row[steps[t]] = (row[steps[t]] or 0) + 1\n"
    "  shown[label] = row\n"
    "end\n"
    "for types in ARGV[5]:gmatch('%d+') do\n"
    "  local n, add, at = #types, 0, pos\n"
    "  for i = 1, n do\n"
    "    pos = pos + 1\n"
    "    add = add + #ARGV[pos]\n"
    "    local t = types:byte(i)\n"
    "    if t == 48 or t > 52 then pos = pos + 1 end\n"
    "  end\n"
    "  if len + n > max then\n"
    "    groups[#groups + 1] = '0'\n"
    "  elseif size + add + n * each > room then\n"
    "    groups[#groups + 1] = '-'\n"
    "  else\n"
    "    for i = 1, n do\n"
    "      at = at + 1\n"
    "      redis.call('XADD', events, '*', 'e', ARGV[at])\n"
    "      local t = types:byte(i) - 47\n"
    "      if t == 1 then\n"
    "        at = at + 1\n"
    "        show(t, ARGV[at])\n"
    "      elseif t > 5 then\n"
    "        t, at = t - 4, at + 1\n"
    "        for label in ARGV[at]:gmatch('([^%z]*%z[^%z]*)%z') do\n"
    "          show(t, label)\n"
    "        end\n"
    "      end\n"
    "      counts[t] = counts[t] + 1\n"
    "    end\n"
    "    len = len + n\n"
    "    bytes = bytes + add\n"
    "    size = size + add + n * each\n"
    "    stored = stored + n\n"
    "    groups[#groups + 1] = '1'\n"
    "  end\n"
    "end\n"
    "if stored > 0 then\n"
    "  redis.call('HINCRBY', stats, 'accepted', stored)\n"
    "  redis.call('HINCRBY', stats, 'bytes', bytes)\n"
    "  for t = 1, #names do\n"
    "    if counts[t] > 0 then\n"
    "      redis.call('HINCRBY', stats, 'events:' .. names[t], counts[t])\n"
    "    end\n"
    "  end\n"
    NGX_HTTP_REFINE_SCRIPT_SHOWN
    "elseif pos < #ARGV then\n"
    "  redis.call('HDEL', stats, '')\n"
    "end\n"
    "for i = pos + 1, #ARGV, 2 do\n"
    "  redis.call('HINCRBY', stats, ARGV[i], ARGV[i + 1])\n"
    "end\n"
    "local free = 0\n"
    "if stored > 0 and len >= tonumber(ARGV[2]) then\n"
    "  free = len\n"
    "  for _, g in ipairs(redis.call('XINFO', 'GROUPS', events)) do\n"
    "    if g[2] == 'refine' and g[5] == 'pending' then\n"
    "      free = len - g[6]\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return {table.concat(groups), len, free, size}\n";


static const char  ngx_http_refine_script_attempts[] =
    "local reply = {}\n"
    "for i = 2, #ARGV do\n"
    "  local p = redis.pcall('XPENDING', KEYS[1], 'refine', ARGV[i],\n"
    "                        ARGV[i], 1, ARGV[1])\n"
    "  reply[i - 1] = not p.err and p[1] and p[1][4] or 0\n"
    "end\n"
    "return reply\n";


static const char  ngx_http_refine_script_clean[] =
    "local events, from, n = KEYS[1], '-', 0\n"
    "for round = 1, 100 do\n"
    "  local p = redis.pcall('XPENDING', events, 'refine', from, '+', 100,\n"
    "                        ARGV[1])\n"
    "  if p.err or #p == 0 then break end\n"
    "  for _, e in ipairs(p) do\n"
    "    local id, line = e[1], false\n"
    "    local entry = redis.call('XRANGE', events, id, id)[1]\n"
    "    for i = 1, entry and #entry[2] or 0, 2 do\n"
    "      line = line or entry[2][i] == 'e'\n"
    "    end\n"
    "    if not line then\n"
    "      redis.call('XACK', events, 'refine', id)\n"
    "      redis.call('XDEL', events, id)\n"
    "      n = n + 1\n"
    "    end\n"
    "    from = '(' .. id\n"
    "  end\n"
    "end\n"
    "return n\n";


static const char  ngx_http_refine_script_consumers[] =
    "local r, n = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], 'refine'), 0\n"
    "if r.err then return 0 end\n"
    "for _, consumer in ipairs(r) do\n"
    "  local c = {}\n"
    "  for i = 1, #consumer, 2 do c[consumer[i]] = consumer[i + 1] end\n"
    "  if c.pending == 0 and c.idle > tonumber(ARGV[2])\n"
    "     and c.name ~= ARGV[1]\n"
    "  then\n"
    "    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'refine', c.name)\n"
    "    n = n + 1\n"
    "  end\n"
    "end\n"
    "return n\n";


/*
 * XACK of an event that nobody holds, or without a group, does no harm.  A call
 * for many events at once is much cheaper; where it finds that somebody else
 * has acknowledged some of them, they are gone through one by one.
 */

static const char  ngx_http_refine_script_ack[] =
    "local events, stats = KEYS[1], KEYS[2]\n"
    "redis.call('HLEN', stats)\n"
    "local n, bytes = 0, 0\n"
    "for i = 1, #ARGV, 200 do\n"
    "  local ids, size = {}, 0\n"
    "  for j = i, math.min(i + 198, #ARGV), 2 do\n"
    "    ids[#ids + 1] = ARGV[j]\n"
    "    size = size + ARGV[j + 1]\n"
    "  end\n"
    "  if redis.call('XACK', events, 'refine', unpack(ids)) == #ids then\n"
    "    n = n + redis.call('XDEL', events, unpack(ids))\n"
    "    bytes = bytes + size\n"
    "  else\n"
    "    for j = i, math.min(i + 198, #ARGV), 2 do\n"
    "      if redis.call('XDEL', events, ARGV[j]) == 1 then\n"
    "        n = n + 1\n"
    "        bytes = bytes + ARGV[j + 1]\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if n > 0 then\n"
    "  redis.call('HINCRBY', stats, 'sent', n)\n"
    "  redis.call('HINCRBY', stats, 'bytes', -bytes)\n"
    "end\n"
    "return n\n";


/* an event becomes a dead letter, unless it is there no more */

#define NGX_HTTP_REFINE_SCRIPT_BURY                                           \
    "local events, stats, dead = KEYS[1], KEYS[2], KEYS[3]\n"                 \
    "local function bury(id, entry, status, reason, attempts, most)\n"        \
    "  local line = ''\n"                                                     \
    "  redis.call('XACK', events, 'refine', id)\n"                            \
    "  if redis.call('XDEL', events, id) ~= 1 then return 0 end\n"            \
    "  for i = 1, #entry[2], 2 do\n"                                          \
    "    if entry[2][i] == 'e' then line = entry[2][i + 1] end\n"             \
    "  end\n"                                                                 \
    "  redis.call('XADD', dead, '*', 'e', line, 'status', status,\n"          \
    "             'reason', reason, 'attempts', attempts)\n"                  \
    "  redis.call('HINCRBY', stats, 'failed', 1)\n"                           \
    "  redis.call('HINCRBY', stats, 'bytes', -#line)\n"                       \
    "  local n = redis.call('XTRIM', dead, 'MAXLEN', most)\n"                 \
    "  if n > 0 then redis.call('HINCRBY', stats, 'dead_trimmed', n) end\n"   \
    "  return 1\n"                                                            \
    "end\n"                                                                   \
    "redis.call('HLEN', stats)\n"                                             \
    "redis.call('XLEN', dead)\n"


static const char  ngx_http_refine_script_dead[] =
    NGX_HTTP_REFINE_SCRIPT_BURY
    "local entry = redis.call('XRANGE', events, ARGV[1], ARGV[1])[1]\n"
    "return bury(ARGV[1], entry, ARGV[2], ARGV[3], ARGV[4], ARGV[5])\n";


/* what another worker holds may be on its way, and is left alone */

static const char  ngx_http_refine_script_expire[] =
    NGX_HTTP_REFINE_SCRIPT_BURY
    "local time, window = redis.call('TIME'), tonumber(ARGV[3])\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local since = tonumber(redis.call('HGET', stats, 'resumed') or 0) or 0\n"
    "if redis.call('HGET', stats, 'paused')\n"
    "   or now - since <= window\n"
    "then\n"
    "  return {''}\n"
    "end\n"
    "local last = string.format('%.0f', math.max(now - window - 1, 0))\n"
    "local entries = redis.call('XRANGE', events, ARGV[2], last,\n"
    "                           'COUNT', 100)\n"
    "local reply = {''}\n"
    "for _, entry in ipairs(entries) do\n"
    "  local id, attempts, free = entry[1], 0, true\n"
    "  local p = redis.pcall('XPENDING', events, 'refine', id, id, 1)\n"
    "  if not p.err and p[1] then\n"
    "    attempts = p[1][4]\n"
    "    free = p[1][2] == ARGV[1] or p[1][3] >= tonumber(ARGV[4])\n"
    "  end\n"
    "  if free then\n"
    "    bury(id, entry, ARGV[5], ARGV[6], attempts, ARGV[7])\n"
    "    reply[#reply + 1] = id\n"
    "  end\n"
    "end\n"
    "if #entries == 100 then reply[1] = '(' .. entries[100][1] end\n"
    "return reply\n";


/*
 * What is no event of this module stays where it is: it would only become a
 * dead letter again.
 */

static const char  ngx_http_refine_script_revive[] =
    "local events, stats, dead = KEYS[1], KEYS[2], KEYS[3]\n"
    "local last, full, n, max, room, each = ARGV[2], 0, 0, tonumber(ARGV[4]),\n"
    "                                  tonumber(ARGV[5]), tonumber(ARGV[6])\n"
    "local len = redis.call('XLEN', events)\n"
    "local bytes = tonumber(redis.call('HGET', stats, 'bytes') or 0)\n"
    "local size = math.max(bytes, 0) + len * each\n"
    "if len == 0 then bytes, size = -bytes, 0 else bytes = 0 end\n"
    "redis.call('XLEN', dead)\n"
    "if last == '' then\n"
    "  local r = redis.pcall('XINFO', 'STREAM', dead)\n"
    "  for i = 1, r.err and 0 or #r, 2 do\n"
    "    if r[i] == 'last-generated-id' then last = r[i + 1] end\n"
    "  end\n"
    "  if last == '' then return {0, '', '', 0} end\n"
    "end\n"
    "local letters = redis.call('XRANGE', dead, ARGV[1], last, 'COUNT', 200)\n"
    "local shown, types = {}, { items_served = 0, click = 0, view = 0,\n"
    "                            add_to_cart = 0, purchase = 0 }\n"
    "for _, letter in ipairs(letters) do\n"
    "  local id, f = letter[1], { e = '', reason = '' }\n"
    "  for i = 1, #letter[2], 2 do f[letter[2][i]] = letter[2][i + 1] end\n"
    "  if f.e:sub(1, 12) == '{\"eventId\":\"'\n"
    "     and f.reason:sub(1, #ARGV[3]) == ARGV[3]\n"
    "  then\n"
    "    if len >= max then full = 1 break end\n"
    "    if size + #f.e + each > room then full = 2 break end\n"
    "    if redis.call('XDEL', dead, id) == 1 then\n"
    "      redis.call('XADD', events, '*', 'e', f.e)\n"
    "      n, len, bytes = n + 1, len + 1, bytes + #f.e\n"
    "      size = size + #f.e + each\n"
    "      local ok, e = pcall(cjson.decode, f.e)\n"
    "      local t = ok and types[e.type] and e.type\n"
    "      if t then types[t] = types[t] + 1 end\n"
    "      if t == 'items_served' then\n"
    "        local label = tostring(e.surface or '') .. '\\0'\n"
    "                      .. tostring(e.source or '')\n"
    "        shown[label] = shown[label] or { ['served:'] = 0 }\n"
    "        shown[label]['served:'] = shown[label]['served:'] + 1\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if n > 0 then\n"
    "  redis.call('HINCRBY', stats, 'accepted', n)\n"
    "  redis.call('HINCRBY', stats, 'bytes', bytes)\n"
    "  redis.call('HINCRBY', stats, 'dead_replayed', n)\n"
    "  for name, count in pairs(types) do\n"
    "    if count > 0 then\n"
    "      redis.call('HINCRBY', stats, 'events:' .. name, count)\n"
    "    end\n"
    "  end\n"
    NGX_HTTP_REFINE_SCRIPT_SHOWN
    "end\n"
    "local next = full == 0 and #letters == 200 and '(' .. letters[200][1]\n"
    "return {n, next or '', last, full}\n";


static const char  ngx_http_refine_script_renew[] =
    "local n = 0\n"
    "for i = 2, #ARGV do\n"
    "  local p = redis.pcall('XPENDING', KEYS[1], 'refine', ARGV[i],\n"
    "                        ARGV[i], 1, ARGV[1])\n"
    "  if not p.err and p[1] then\n"
    "    redis.call('XCLAIM', KEYS[1], 'refine', ARGV[1], 0, ARGV[i],\n"
    "               'JUSTID')\n"
    "    n = n + 1\n"
    "  end\n"
    "end\n"
    "return n\n";


static const char  ngx_http_refine_script_return[] =
    "local n = 0\n"
    "for i = 3, #ARGV, 2 do\n"
    "  local p = redis.pcall('XPENDING', KEYS[1], 'refine', ARGV[i],\n"
    "                        ARGV[i], 1, ARGV[1])\n"
    "  if not p.err and p[1] then\n"
    "    redis.call('XCLAIM', KEYS[1], 'refine', ARGV[1], 0, ARGV[i],\n"
    "               'IDLE', ARGV[2], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')\n"
    "    n = n + 1\n"
    "  end\n"
    "end\n"
    "return n\n";


static const char  ngx_http_refine_script_metrics[] =
    "local events, stats, dead = KEYS[1], KEYS[2], KEYS[3]\n"
    "local refused, pending, first, last = '', 0, '', ''\n"
    "local len, ndead = redis.call('XLEN', events), redis.call('XLEN', dead)\n"
    "redis.call('HLEN', stats)\n"
    "if #ARGV > 0 then redis.pcall('HDEL', stats, '') end\n"
    "for i = 1, #ARGV, 2 do\n"
    "  local r = redis.pcall('HINCRBY', stats, ARGV[i], ARGV[i + 1])\n"
    "  if type(r) == 'table' and r.err and i == 1 then\n"
    "    refused = r.err\n"
    "    break\n"
    "  end\n"
    "end\n"
    "local r = redis.pcall('XPENDING', events, 'refine')\n"
    "if not r.err then pending = r[1] end\n"
    "r = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)\n"
    "if r[1] then first = r[1][1] end\n"
    "r = redis.pcall('XINFO', 'STREAM', events)\n"
    "for i = 1, r.err and 0 or #r, 2 do\n"
    "  if r[i] == 'last-generated-id' then last = r[i + 1] end\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "local reply = {refused, len, pending, ndead, first, last,\n"
    "               time[1] * 1000 + math.floor(time[2] / 1000)}\n"
    "for _, v in ipairs(redis.call('HGETALL', stats)) do\n"
    "  reply[#reply + 1] = v\n"
    "end\n"
    "return reply\n";


static const char  ngx_http_refine_script_pause[] =
    "local stats, time = KEYS[2], redis.call('TIME')\n"
    "local ms = string.format('%.0f', time[1] * 1000\n"
    "                                 + math.floor(time[2] / 1000))\n"
    "if ARGV[1] == '1' then\n"
    "  redis.call('HDEL', stats, '')\n"
    "  redis.call('HSETNX', stats, 'paused', ms)\n"
    "  return 1\n"
    "end\n"
    "if ARGV[1] == '2' then\n"
    "  redis.call('HDEL', stats, '')\n"
    "  redis.call('HSET', stats, 'resumed', ms)\n"
    "  return 2\n"
    "end\n"
    "if redis.call('HDEL', stats, 'paused') == 1 then\n"
    "  redis.call('HSET', stats, 'resumed', ms)\n"
    "end\n"
    "return 0\n";


#define ngx_http_refine_script(name, nkeys)                                   \
    { { sizeof(ngx_http_refine_script_##name) - 1,                            \
        (u_char *) ngx_http_refine_script_##name }, nkeys }

const ngx_http_refine_script_t
    ngx_http_refine_scripts[NGX_HTTP_REFINE_SCRIPT_MAX] =
{
    ngx_http_refine_script(store, 2),
    ngx_http_refine_script(attempts, 1),
    ngx_http_refine_script(clean, 1),
    ngx_http_refine_script(consumers, 1),
    ngx_http_refine_script(ack, 2),
    ngx_http_refine_script(dead, 3),
    ngx_http_refine_script(expire, 3),
    ngx_http_refine_script(revive, 3),
    ngx_http_refine_script(renew, 1),
    ngx_http_refine_script(return, 1),
    ngx_http_refine_script(metrics, 3),
    ngx_http_refine_script(pause, 2)
};


void
ngx_http_refine_script_sha1(ngx_http_refine_script_e script, u_char *dst)
{
    ngx_sha1_t        sha1;
    u_char            digest[20];
    const ngx_str_t  *text;

    text = &ngx_http_refine_scripts[script].text;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, text->data, text->len);
    ngx_sha1_final(digest, &sha1);

    (void) ngx_hex_dump(dst, digest, sizeof(digest));
}
