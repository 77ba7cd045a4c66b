
/*
 * The body of a collect request up to the lines that are stored: each is JSON
 * to the strict checker, within the limits, and reads back as what was sent.
 * Two bytes of options, "@_" for a browser and all types, then the body.
 */


#include "fuzz_beacon.h"
#include "ngx_http_refine_json.h"


#define FUZZ_NOW     1700000000000ULL
#define FUZZ_DAY     86400000.0
#define FUZZ_MINUTE  60000.0

#define FUZZ_SERVED  1
#define FUZZ_ACTED   14         /* click, view, add_to_cart */
#define FUZZ_BOUGHT  16
#define FUZZ_ANY     31


/* what a line has as it was sent */

typedef struct {
    const char  *name;
    const char  *alias;
    ngx_uint_t   types;
    double       max;           /* of a string its bytes, of a number itself */
} fuzz_field_t;

static const fuzz_field_t  fuzz_fields[] = {
    { "serveId", NULL, FUZZ_ACTED|FUZZ_SERVED, 128 },
    { "itemId", "productId", FUZZ_ACTED, 256 },
    { "position", NULL, FUZZ_ACTED, 1000000 },
    { "surface", NULL, FUZZ_SERVED, 64 },
    { "source", NULL, FUZZ_SERVED, 64 },
    { "query", NULL, FUZZ_SERVED, 1024 },
    { "totalResults", NULL, FUZZ_SERVED, 9007199254740991.0 },
    { "filters", NULL, FUZZ_SERVED, 0 },
    { "sortBy", NULL, FUZZ_SERVED, 4096 },
    { "orderId", NULL, FUZZ_BOUGHT, 128 },
    { "value", NULL, FUZZ_BOUGHT, 1.797e308 },
    { "currency", NULL, FUZZ_BOUGHT, 3 },
    { NULL, NULL, 0, 0 }
};

/* and what it has otherwise */
static const char  *fuzz_others[] = {
    "eventId", "type", "timestamp", "receivedAt", "visitorId", "sessionId",
    "userId", "itemIds", "items", "page", "referrer", "metadata", "context",
    NULL
};


static ngx_http_refine_event_env_t  fuzz_env;


static const cJSON *
fuzz_get(const cJSON *object, const char *name)
{
    const cJSON  *value;

    value = cJSON_GetObjectItemCaseSensitive(object, name);

    return (value && cJSON_IsNull(value)) ? NULL : value;
}


static ngx_uint_t
fuzz_count(const cJSON *object, const char *name)
{
    ngx_uint_t    n;
    const cJSON  *child;

    n = 0;

    for (child = object->child; child; child = child->next) {
        n += (strcmp(child->string, name) == 0);
    }

    return n;
}


/* to the last bit, and in the same order; without: a member of a */

static ngx_uint_t
fuzz_equal(const cJSON *a, const cJSON *b, const char *without)
{
    if ((a->type & 0xff) != (b->type & 0xff)
        || (cJSON_IsNumber(a) && a->valuedouble != b->valuedouble)
        || (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring) != 0))
    {
        return 0;
    }

    for (a = a->child, b = b->child; a; a = a->next) {

        if (without && strcmp(a->string, without) == 0) {
            continue;
        }

        if (b == NULL || !fuzz_equal(a, b, NULL)
            || (a->string && strcmp(a->string, b->string) != 0))
        {
            return 0;
        }

        b = b->next;
    }

    return (b == NULL);
}


static void
fuzz_is(const cJSON *line, const char *name, const char *expected)
{
    const cJSON  *value;

    value = fuzz_get(line, name);

    fuzz_assert(expected ? value && strcmp(value->valuestring, expected) == 0
                         : value == NULL);
}


/* the fields that are taken as they are */

static void
fuzz_same(const cJSON *event, const cJSON *line, ngx_uint_t bit)
{
    const cJSON         *sent, *stored;
    const fuzz_field_t  *field;

    for (field = fuzz_fields; field->name; field++) {
        sent = fuzz_get(event, field->name);

        if (sent == NULL && field->alias) {
            sent = fuzz_get(event, field->alias);
        }

        stored = fuzz_get(line, field->name);

        if (!(field->types & bit) || sent == NULL) {
            fuzz_assert(stored == NULL);
            continue;
        }

        fuzz_assert(stored && fuzz_equal(sent, stored, NULL));
        fuzz_assert(fuzz_count(event, field->name) <= 1);

        fuzz_assert(!cJSON_IsString(stored)
                    || strlen(stored->valuestring) <= field->max);
        fuzz_assert(!cJSON_IsNumber(stored)
                    || (stored->valuedouble >= 0
                        && stored->valuedouble <= field->max));
    }
}


/* each id once, at its first place */

static void
fuzz_ids(const cJSON *sent, const cJSON *stored)
{
    ngx_uint_t    n;
    const cJSON  *id, *before;

    n = 0;
    stored = stored->child;

    for (id = sent->child; id; id = id->next) {

        for (before = sent->child; before != id; before = before->next) {
            if (strcmp(before->valuestring, id->valuestring) == 0) {
                break;
            }
        }

        if (before == id) {
            fuzz_assert(stored && fuzz_equal(id, stored, NULL));
            fuzz_assert(strlen(id->valuestring) <= 256);
            stored = stored->next;
            n++;
        }
    }

    fuzz_assert(stored == NULL && n <= 1000);
}


static void
fuzz_bought(const cJSON *sent, const cJSON *stored)
{
    const cJSON  *id;

    fuzz_assert(cJSON_GetArraySize(sent) == cJSON_GetArraySize(stored));

    for (sent = sent->child, stored = stored->child;
         sent;
         sent = sent->next, stored = stored->next)
    {
        id = fuzz_get(sent, "itemId");
        id = id ? id : fuzz_get(sent, "productId");

        fuzz_assert(cJSON_GetArraySize(stored) == 3);
        fuzz_is(stored, "itemId", id->valuestring);
        fuzz_assert(fuzz_equal(fuzz_get(sent, "quantity"),
                               fuzz_get(stored, "quantity"), NULL));
        fuzz_assert(fuzz_equal(fuzz_get(sent, "unitPrice"),
                               fuzz_get(stored, "unitPrice"), NULL));
    }
}


static void
fuzz_url(const cJSON *event, const cJSON *line, const char *name)
{
    size_t        len;
    const char   *url;
    const cJSON  *sent;

    sent = fuzz_get(event, name);
    url = (sent && *sent->valuestring) ? sent->valuestring : NULL;

    if (url == NULL || !fuzz_env.anonymous) {
        fuzz_is(line, name, url);
        return;
    }

    len = strcspn(url, "?#");

    sent = fuzz_get(line, name);
    fuzz_assert(sent && strlen(sent->valuestring) == len
                && memcmp(sent->valuestring, url, len) == 0);
}


static void
fuzz_metadata(const cJSON *event, const cJSON *line, ngx_uint_t bit)
{
    const char   *own;
    const cJSON  *sent, *stored;

    sent = fuzz_get(event, "metadata");
    stored = fuzz_get(line, "metadata");
    own = (bit & FUZZ_BOUGHT) ? "valueMismatch" : NULL;

    if (sent && own && stored && fuzz_get(stored, own)) {

        /* it is the last one */

        fuzz_assert(fuzz_count(stored, own) == 1);
        cJSON_DeleteItemFromObjectCaseSensitive((cJSON *) stored, own);
    }

    if (sent) {
        fuzz_assert(stored && fuzz_equal(sent, stored, own));

    } else if (stored) {
        fuzz_assert(own && cJSON_GetArraySize(stored) == 1
                    && cJSON_IsTrue(stored->child));
    }
}


static void
fuzz_identity(const cJSON *event, const cJSON *line, const char *name,
    ngx_uint_t given, ngx_str_t *own)
{
    const char   *expected;
    const cJSON  *sent;

    sent = given ? fuzz_get(event, name) : NULL;

    expected = own->len ? (char *) own->data : NULL;

    if (sent && (expected == NULL || own != &fuzz_env.user_id)) {
        expected = *sent->valuestring ? sent->valuestring : NULL;
    }

    fuzz_is(line, name, fuzz_env.anonymous ? NULL : expected);
}


static void
fuzz_head(const cJSON *event, const cJSON *line, ngx_uint_t bit,
    ngx_http_refine_event_t *ev)
{
    double        t;
    ngx_str_t     id;
    const cJSON  *sent;

    fuzz_assert(ngx_http_refine_event_id(&ev->line, &id) == NGX_OK);
    fuzz_assert(id.data == ev->id.data && id.len == ev->id.len);

    sent = fuzz_get(event, (bit & FUZZ_SERVED) && fuzz_get(event, "serveId")
                           ? "serveId" : "eventId");

    fuzz_assert(ev->made == (sent == NULL));
    fuzz_assert(strlen(fuzz_get(line, "eventId")->valuestring) == id.len);

    if (sent) {
        fuzz_is(line, "eventId", sent->valuestring);
    }

    fuzz_is(line, "type", fuzz_get(event, "type")->valuestring);

    t = fuzz_get(line, "timestamp")->valuedouble;

    fuzz_assert(fuzz_get(line, "receivedAt")->valuedouble == FUZZ_NOW);
    fuzz_assert(t >= FUZZ_NOW - 7 * FUZZ_DAY
                && t <= FUZZ_NOW + 5 * FUZZ_MINUTE);

    sent = fuzz_get(event, "timestamp");

    if (sent == NULL) {
        fuzz_assert(t == FUZZ_NOW);

    } else if (fuzz_env.sent_at == 0) {
        fuzz_assert(t == FUZZ_NOW || t == (double) (int64_t) sent->valuedouble);
    }
}


static void
fuzz_line(const cJSON *event, ngx_http_refine_event_t *ev)
{
    cJSON         *line;
    size_t         offset;
    ngx_uint_t     i, n, bit;
    const char    *error;
    const cJSON   *child;

    bit = 1 << ev->type;
    fuzz_assert(fuzz_env.types & bit);

    fuzz_assert(ngx_http_refine_json_check(ev->line.data, ev->line.len, 8,
                                           NGX_HTTP_REFINE_JSON_NO_NUL
                                           |NGX_HTTP_REFINE_JSON_NO_LONE,
                                           &offset, &error)
                == NGX_OK);

    line = cJSON_ParseWithLength((char *) ev->line.data, ev->line.len);
    fuzz_assert(line != NULL);

    for (child = line->child; child; child = child->next) {
        n = 0;

        for (i = 0; fuzz_others[i]; i++) {
            n += (strcmp(fuzz_others[i], child->string) == 0);
        }

        for (i = 0; fuzz_fields[i].name; i++) {
            n += (strcmp(fuzz_fields[i].name, child->string) == 0);
        }

        fuzz_assert(n == 1 && fuzz_count(line, child->string) == 1);
    }

    fuzz_head(event, line, bit, ev);
    fuzz_same(event, line, bit);
    fuzz_identity(event, line, "userId", 1, &fuzz_env.user_id);
    fuzz_identity(event, line, "visitorId", fuzz_env.trusted,
                  &fuzz_env.visitor_id);
    fuzz_identity(event, line, "sessionId", fuzz_env.trusted,
                  &fuzz_env.session_id);
    fuzz_url(event, line, "page");
    fuzz_url(event, line, "referrer");
    fuzz_metadata(event, line, bit);

    fuzz_assert((fuzz_get(line, "itemIds") != NULL) == (bit == FUZZ_SERVED));
    fuzz_assert((fuzz_get(line, "items") != NULL) == (bit == FUZZ_BOUGHT));

    if (bit == FUZZ_SERVED) {
        fuzz_ids(fuzz_get(event, "itemIds"), fuzz_get(line, "itemIds"));

    } else if (bit == FUZZ_BOUGHT) {
        fuzz_bought(fuzz_get(event, "items"), fuzz_get(line, "items"));
    }

    cJSON_Delete(line);
}


/* the answer's rows */

static void
fuzz_rejected(ngx_http_refine_beacon_t *beacon)
{
    char         *text;
    cJSON        *rows;
    size_t        len;
    const cJSON  *row;

    len = ngx_http_refine_buf_size(&beacon->rejected);

    text = malloc(len + 3);
    fuzz_assert(text != NULL);

    len = sprintf(text, "[%.*s]", (int) len, (char *) beacon->rejected.start);

    rows = cJSON_ParseWithLength(text, len);
    free(text);

    fuzz_assert(rows != NULL);
    fuzz_assert((ngx_uint_t) cJSON_GetArraySize(rows) == beacon->nrejected);

    for (row = rows->child; row; row = row->next) {
        fuzz_assert(fuzz_get(row, "index")->valuedouble < beacon->total);
        fuzz_assert(cJSON_IsString(fuzz_get(row, "field")));
        fuzz_assert(*fuzz_get(row, "error")->valuestring);
    }

    cJSON_Delete(rows);
}


static void
fuzz_events(ngx_http_refine_beacon_t *beacon, ngx_pool_t *pool)
{
    ngx_int_t                       rc;
    ngx_uint_t                      i, k, good;
    const cJSON                    *event;
    ngx_http_refine_event_t         ev, *a, *b;
    ngx_http_refine_event_error_t   error;

    fuzz_assert(ngx_http_refine_beacon_check(beacon, pool, &fuzz_env, NULL,
                                             NULL)
                == NGX_OK);

    fuzz_assert(beacon->nevents + beacon->duplicates + beacon->nrejected
                == beacon->total);

    fuzz_rejected(beacon);

    for (i = 0; i < beacon->nevents; i++) {
        for (k = 0; k < i; k++) {
            a = &beacon->events[i];
            b = &beacon->events[k];

            fuzz_assert(a->id.len != b->id.len
                        || memcmp(a->id.data, b->id.data, a->id.len) != 0);
        }
    }

    good = 0;
    event = beacon->first;

    for (i = 0; i < beacon->total; i++, event = event->next) {

        rc = ngx_http_refine_event_parse(pool, event, &fuzz_env, &ev, &error);

        if (rc == NGX_OK) {
            fuzz_line(event, &ev);
            good++;
            continue;
        }

        fuzz_assert(rc == NGX_DECLINED && error.error.len
                    && error.reason < NGX_HTTP_REFINE_COUNTER_MAX);
    }

    fuzz_assert(good == beacon->nevents + beacon->duplicates);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                    *body;
    ngx_int_t                  rc;
    ngx_pool_t                *pool;
    ngx_http_refine_beacon_t   beacon;

    if (size < 2) {
        return 0;
    }

    body = fuzz_copy(data + 2, size - 2);

    memset(&fuzz_env, 0, sizeof(ngx_http_refine_event_env_t));

    fuzz_env.now = FUZZ_NOW;
    fuzz_env.trusted = data[0] & 1;
    fuzz_env.anonymous = (data[0] & 2) ? 1 : 0;
    fuzz_env.anonymize = (data[0] & 4) ? 1 : 0;
    fuzz_env.bot = (data[0] & 8) ? 1 : 0;
    fuzz_env.prefetch = fuzz_env.bot;
    fuzz_env.types = data[1] & FUZZ_ANY;

    if (data[0] & 16) {
        ngx_str_set(&fuzz_env.user_id, "user");
        ngx_str_set(&fuzz_env.visitor_id, "visitor");
        ngx_str_set(&fuzz_env.session_id, "session");
        ngx_str_set(&fuzz_env.ip, "192.0.2.0");
        fuzz_env.user_agent.data = body;        /* any bytes */
        fuzz_env.user_agent.len = size - 2;
    }

    pool = ngx_create_pool(1024, NULL);
    fuzz_assert(pool != NULL);

    ngx_http_refine_beacon_init(&beacon, pool);

    if (fuzz_env.trusted) {
        beacon.max = NGX_HTTP_REFINE_BEACON_MAX_TRUSTED;
    }

    rc = ngx_http_refine_beacon_parse(&beacon, pool, body, size - 2);

    if (rc == NGX_OK) {
        fuzz_assert(beacon.total && beacon.total <= beacon.max);

        fuzz_env.sent_at = beacon.sent_at;
        fuzz_events(&beacon, pool);

    } else {
        fuzz_assert(rc == NGX_DECLINED && beacon.error.error.len);
        fuzz_assert(beacon.status == NGX_HTTP_BAD_REQUEST
                    || beacon.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
    }

    ngx_http_refine_beacon_free(&beacon);
    ngx_destroy_pool(pool);
    free(body);

    return 0;
}
