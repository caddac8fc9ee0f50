/* problem.h: an error as a document: RFC 9457 for programs, a plain page for people.
 *
 * The one hard thing: detail and instance may carry bytes that the client chose, so both forms
 * escape everything, and the page's own policy lets nothing run.
 *
 * Pure; any thread. A problem borrows all its text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"

#define PROBLEM_TYPE_QUOTA_EXCEEDED                                                                \
    SPAN("https://iana.org/assignments/http-problem-types#quota-exceeded")
#define PROBLEM_TYPE_REDUCED_CAPACITY                                                              \
    SPAN("https://iana.org/assignments/http-problem-types#temporary-reduced-capacity")
#define PROBLEM_TYPE_ABNORMAL_USAGE                                                                \
    SPAN("https://iana.org/assignments/http-problem-types#abnormal-usage-detected")

enum problem_kind {
    PROBLEM_STRING,
    PROBLEM_NUMBER,
    PROBLEM_STRINGS,
};

/* An extension member. The one of `kind` counts. */
struct problem_member {
    const char *name; /* ours: plain ASCII, not escaped */
    enum problem_kind kind;
    uint64_t number;
    struct span text;
    const struct span *texts;
    unsigned text_count;
};

struct problem {
    unsigned status;
    struct span type;   /* empty: "about:blank" */
    struct span title;  /* empty: the status phrase */
    struct span detail; /* empty: left out, and so the next two */
    struct span instance;
    struct span request_id;
    uint64_t retry_after_s;               /* 0: left out */
    const struct problem_member *members; /* JSON only */
    unsigned member_count;
};

/* Status, type, title and detail of this error; the rest is empty. */
struct problem problem_of(enum err_code code);

/* Content types of the two forms. */
#define PROBLEM_JSON_CONTENT_TYPE SPAN("application/problem+json")
#define PROBLEM_HTML_CONTENT_TYPE SPAN("text/html; charset=utf-8")

/* Append one document. ERR_TOO_LARGE, ERR_NO_MEMORY of buf. */
err problem_write_json(const struct problem *p, struct buf *out);
err problem_write_html(const struct problem *p, struct buf *out);

/* The Content-Security-Policy that must go with the page: nothing but its own style, by hash. */
struct span problem_html_policy(void);

/* Whether an Accept value rates text/html above JSON (application/problem+json or
 * application/json, the better of them; RFC 9110 section 12.5.1). What has no valid form, is
 * empty or rates both alike gets JSON. */
bool problem_prefers_html(struct span accept);
