/* tls_hosts.c: which certificates answer for which server name.
 *
 * Names of all certificates go into one map; a wildcard is found by cutting the first label. Every
 * name is its own security domain: its hash goes into the session id context, which OpenSSL seals
 * into a ticket and compares before it resumes. Immutable once built; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>

#include "core/mem.h"
#include "wire/tls_priv.h"

static char tls_hosts_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool tls_hosts_is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

err tls_hosts_normalise(struct span name, char out[TLS_HOSTS_NAME_MAX], size_t *out_len)
{
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > TLS_HOSTS_NAME_MAX || name.at[0] == '.')
        return FAIL(INVALID);
    for (size_t i = 0; i < name.len; i++) {
        char c = tls_hosts_lower(name.at[i]);
        if (!tls_hosts_is_name_char(c) || (c == '.' && name.at[i - 1] == '.'))
            return FAIL(INVALID);
        out[i] = c;
    }
    *out_len = name.len;
    return OK;
}

const struct tls_host *tls_hosts_find(const struct tls_hosts *hosts, struct span name)
{
    const struct tls_host *host = name.len == 0 ? NULL : map_get(&hosts->by_name, name);
    if (host != NULL)
        return host;
    char pattern[TLS_HOSTS_NAME_MAX + 1];
    struct span parent = name;
    struct span label = span_cut(&parent, '.');
    if (parent.len > 0 && label.len > 0 && parent.len < TLS_HOSTS_NAME_MAX - 1) {
        pattern[0] = '*';
        pattern[1] = '.';
        memcpy(pattern + 2, parent.at, parent.len);
        host = map_get(&hosts->by_name, span_of(pattern, parent.len + 2));
    }
    return host != NULL ? host : &hosts->all[0];
}

/* Adds the certificate unless the host has one of that key type already. */
static void tls_hosts_add_choice(struct tls_host *host, const struct tls_certificate *certificates,
                                 size_t index)
{
    struct tls_choice *choice = &host->choice;
    for (size_t i = 0; i < choice->count; i++)
        if (certificates[choice->certificates[i]].key_kind == certificates[index].key_kind)
            return;
    if (choice->count < TLS_HOSTS_KEY_KINDS)
        choice->certificates[choice->count++] = index;
}

static struct tls_host *tls_hosts_get_or_add(struct tls_hosts *hosts, struct span name)
{
    struct tls_host *host = map_get(&hosts->by_name, name);
    if (host != NULL)
        return host;
    host = &hosts->all[hosts->count++];
    host->name = name;
    (void)map_put(&hosts->by_name, name, host);
    return host;
}

/* Patterns with a '*' elsewhere than as the whole first label match nothing (RFC 6125 6.4.3). */
static bool tls_hosts_is_pattern(struct span name)
{
    char text[TLS_HOSTS_NAME_MAX];
    size_t len;
    return err_ok(
        tls_hosts_normalise(span_starts(name, SPAN("*.")) ? span_skip(name, 2) : name, text, &len));
}

/* SHA-256 of the caller's domain, a byte that no host name holds, and the name. */
static void tls_hosts_set_domain(struct tls_host *host, struct span domain)
{
    unsigned size = 0;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    must(digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
         EVP_DigestUpdate(digest, domain.at, domain.len) == 1 &&
         EVP_DigestUpdate(digest, "", 1) == 1 &&
         EVP_DigestUpdate(digest, host->name.at, host->name.len) == 1 &&
         EVP_DigestFinal_ex(digest, host->domain, &size) == 1 && size == sizeof host->domain);
    EVP_MD_CTX_free(digest);
}

static void tls_hosts_mark_hidden(const struct tls_hosts *hosts,
                                  struct tls_certificate *certificates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        certificates[i].about.is_hidden = true;
    for (size_t h = 0; h < hosts->count; h++)
        for (size_t i = 0; i < hosts->all[h].choice.count; i++)
            certificates[hosts->all[h].choice.certificates[i]].about.is_hidden = false;
}

void tls_hosts_init(struct tls_hosts *hosts, struct tls_certificate *certificates, size_t count,
                    struct span domain)
{
    size_t names = 1;
    for (size_t i = 0; i < count; i++)
        names = size_add(names, certificates[i].about.name_count);
    *hosts = (struct tls_hosts){.all = mem_alloc(size_mul(names, sizeof *hosts->all)), .count = 1};
    map_init(&hosts->by_name);
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < certificates[i].about.name_count; n++)
            if (tls_hosts_is_pattern(certificates[i].about.names[n]))
                tls_hosts_add_choice(tls_hosts_get_or_add(hosts, certificates[i].about.names[n]),
                                     certificates, i);
    /* Without a match: the first certificate, and those of other key types under its first name,
     * so that a client without a server name has the same choice of keys. */
    struct tls_host *fallback = &hosts->all[0];
    fallback->name = SPAN("");
    tls_hosts_add_choice(fallback, certificates, 0);
    if (certificates[0].about.name_count > 0) {
        const struct tls_host *first = map_get(&hosts->by_name, certificates[0].about.names[0]);
        for (size_t i = 0; first != NULL && i < first->choice.count; i++)
            tls_hosts_add_choice(fallback, certificates, first->choice.certificates[i]);
    }
    for (size_t i = 0; i < hosts->count; i++)
        tls_hosts_set_domain(&hosts->all[i], domain);
    tls_hosts_mark_hidden(hosts, certificates, count);
}

void tls_hosts_done(struct tls_hosts *hosts)
{
    map_done(&hosts->by_name);
    mem_free(hosts->all);
    *hosts = (struct tls_hosts){0};
}
