/* websocket.c: the checks of both halves of the handshake.
 *
 * The one hard thing: a handshake is only as strict as its laxest reader, so each field stands
 * once, in the one form that RFC 6455 gives it. SHA-1 is no signature here: it only proves that
 * the other side knows the protocol.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/websocket.h"

#include <openssl/evp.h>

#define WEBSOCKET_KEY_BYTES    24                                     /* base64 of 16 */
#define WEBSOCKET_GUID         "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* section 1.3 */
#define WEBSOCKET_DIGEST_BYTES 20

static bool websocket_is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* 22 digits and "==". The last digit may carry stray bits: the key is a nonce, compared as text. */
static bool websocket_is_key(struct span key)
{
    if (key.len != WEBSOCKET_KEY_BYTES || !span_ends(key, SPAN("==")))
        return false;
    for (size_t i = 0; i < WEBSOCKET_KEY_BYTES - 2; i++)
        if (!websocket_is_base64(key.at[i]))
            return false;
    return true;
}

/* The field of this id when it stands exactly once. */
static const struct http_field *websocket_only(const struct http_head *head, enum http_field_id id)
{
    const struct http_field *found = http_head_find(head, id);
    if (found == NULL)
        return NULL;
    for (unsigned i = head->first[id]; i < head->field_count; i++)
        if (head->fields[i].id == id)
            return NULL;
    return found;
}

static enum websocket_verdict websocket_refuse(const char *reason, struct fault *why)
{
    (void)fault_set(why, ERR_BAD_REQUEST, "WebSocket handshake: %s", reason);
    return WEBSOCKET_BAD_REQUEST;
}

enum websocket_verdict websocket_check_request(const struct http_request *request,
                                               struct fault *why)
{
    const struct http_head *head = &request->head;
    if (!head->is_upgrade || !http_list_has(head->upgrade, SPAN("websocket")))
        return WEBSOCKET_NONE;
    if (request->method != HTTP_GET)
        return websocket_refuse("the method is not GET", why);
    if (head->version_minor < 1)
        return websocket_refuse("the version is not HTTP/1.1", why);
    if (head->body != HTTP_BODY_NONE &&
        !(head->body == HTTP_BODY_LENGTH && head->content_length == 0))
        return websocket_refuse("there is a body", why);
    const struct http_field *key = websocket_only(head, HTTP_FIELD_SEC_WEBSOCKET_KEY);
    if (key == NULL || !websocket_is_key(key->value))
        return websocket_refuse("one Sec-WebSocket-Key of 16 bytes in base64 is needed", why);
    if (http_head_find(head, HTTP_FIELD_SEC_WEBSOCKET_VERSION) == NULL)
        return websocket_refuse("there is no Sec-WebSocket-Version", why);
    const struct http_field *version = websocket_only(head, HTTP_FIELD_SEC_WEBSOCKET_VERSION);
    if (version == NULL)
        return websocket_refuse("more than one Sec-WebSocket-Version", why);
    if (!span_eq(version->value, WEBSOCKET_VERSION)) {
        (void)fault_set(why, ERR_BAD_REQUEST, "WebSocket handshake: only version 13 is understood");
        return WEBSOCKET_BAD_VERSION;
    }
    return WEBSOCKET_VALID;
}

err websocket_accept_of(struct span key, char out[WEBSOCKET_ACCEPT_BYTES])
{
    if (!websocket_is_key(key))
        return FAIL(INVALID);
    char text[WEBSOCKET_KEY_BYTES + sizeof(WEBSOCKET_GUID) - 1];
    memcpy(text, key.at, WEBSOCKET_KEY_BYTES);
    memcpy(&text[WEBSOCKET_KEY_BYTES], WEBSOCKET_GUID, sizeof(WEBSOCKET_GUID) - 1);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (EVP_Digest(text, sizeof(text), digest, &digest_bytes, EVP_sha1(), NULL) != 1)
        return FAIL(TLS);
    must(digest_bytes == WEBSOCKET_DIGEST_BYTES);
    unsigned char encoded[WEBSOCKET_ACCEPT_BYTES + 1]; /* OpenSSL adds a NUL */
    int encoded_bytes = EVP_EncodeBlock(encoded, digest, WEBSOCKET_DIGEST_BYTES);
    must(encoded_bytes == WEBSOCKET_ACCEPT_BYTES);
    memcpy(out, encoded, WEBSOCKET_ACCEPT_BYTES);
    return OK;
}

static err websocket_refuse_response(const char *reason, struct fault *why)
{
    return fault_set(why, ERR_BAD_UPSTREAM, "WebSocket handshake of the upstream: %s", reason);
}

err websocket_check_response(struct span key, const struct http_response *response,
                             struct fault *why)
{
    const struct http_head *head = &response->head;
    if (response->status != 101)
        return websocket_refuse_response("the status is not 101", why);
    if (!head->is_upgrade || websocket_only(head, HTTP_FIELD_UPGRADE) == NULL ||
        !span_eq_nocase(head->upgrade, SPAN("websocket")))
        return websocket_refuse_response("it does not upgrade to websocket", why);
    const struct http_field *accept = websocket_only(head, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT);
    if (accept == NULL)
        return websocket_refuse_response("one Sec-WebSocket-Accept is needed", why);
    char expected[WEBSOCKET_ACCEPT_BYTES];
    TRY(websocket_accept_of(key, expected));
    if (!span_eq(accept->value, span_of(expected, sizeof(expected))))
        return websocket_refuse_response("Sec-WebSocket-Accept does not answer the key", why);
    return OK;
}
