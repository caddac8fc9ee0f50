/* clock.c: the system's clocks, the test's clock, and the two forms in which time is written.
 *
 * Calendar arithmetic is our own because gmtime_r reads the time zone's lock on glibc and the
 * access log writes a date per record. Days to civil date: the era algorithm (Hinnant, "chrono-
 * Compatible Low-Level Date Algorithms"). Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include <time.h>

#include "core/must.h"

static uint64_t clock_read(clockid_t id)
{
    struct timespec now;
    must(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t clock_system_mono(const struct clock *self)
{
    (void)self;
    return clock_read(CLOCK_MONOTONIC);
}

static uint64_t clock_system_wall(const struct clock *self)
{
    (void)self;
    return clock_read(CLOCK_REALTIME);
}

const struct clock clock_system = {.mono_ns = clock_system_mono, .wall_ns = clock_system_wall};

static uint64_t clock_fake_mono(const struct clock *self)
{
    return container_of(self, const struct clock_fake, clock)->mono_now_ns;
}

static uint64_t clock_fake_wall(const struct clock *self)
{
    return container_of(self, const struct clock_fake, clock)->wall_now_ns;
}

void clock_fake_init(struct clock_fake *fake, uint64_t mono_ns, uint64_t wall_ns)
{
    fake->clock = (struct clock){.mono_ns = clock_fake_mono, .wall_ns = clock_fake_wall};
    fake->mono_now_ns = mono_ns;
    fake->wall_now_ns = wall_ns;
}

void clock_fake_advance_ms(struct clock_fake *fake, uint64_t ms)
{
    fake->mono_now_ns += ms * 1000000u;
    fake->wall_now_ns += ms * 1000000u;
}

struct clock_civil {
    unsigned year, month, day, hour, minute, second, weekday;
};

static struct clock_civil clock_civil_of(uint64_t wall_s)
{
    uint64_t days = wall_s / 86400;
    unsigned of_day = (unsigned)(wall_s % 86400);
    uint64_t shifted = days + 719468;
    uint64_t era = shifted / 146097;
    unsigned doe = (unsigned)(shifted % 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    return (struct clock_civil){
        .year = (unsigned)(yoe + era * 400) + (month <= 2 ? 1 : 0),
        .month = month,
        .day = doy - (153 * mp + 2) / 5 + 1,
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
        .weekday = (unsigned)((days + 4) % 7),
    };
}

static char *clock_put(char *at, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

static char *clock_put_time(char *at, const struct clock_civil *t)
{
    at = clock_put(at, t->hour, 2);
    *at++ = ':';
    at = clock_put(at, t->minute, 2);
    *at++ = ':';
    return clock_put(at, t->second, 2);
}

static char *clock_put_name(char *at, const char *name)
{
    at[0] = name[0];
    at[1] = name[1];
    at[2] = name[2];
    return at + 3;
}

void clock_format_rfc3339(uint64_t wall_ns, char out[CLOCK_RFC3339_BYTES])
{
    struct clock_civil t = clock_civil_of(wall_ns / 1000000000u);
    char *at = clock_put(out, t.year, 4);
    *at++ = '-';
    at = clock_put(at, t.month, 2);
    *at++ = '-';
    at = clock_put(at, t.day, 2);
    *at++ = 'T';
    at = clock_put_time(at, &t);
    *at++ = '.';
    at = clock_put(at, (unsigned)(wall_ns / 1000000u % 1000u), 3);
    *at++ = 'Z';
    *at = '\0';
}

void clock_format_http(uint64_t wall_ns, char out[CLOCK_HTTP_BYTES])
{
    static const char *const weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct clock_civil t = clock_civil_of(wall_ns / 1000000000u);
    char *at = clock_put_name(out, weekdays[t.weekday]);
    *at++ = ',';
    *at++ = ' ';
    at = clock_put(at, t.day, 2);
    *at++ = ' ';
    at = clock_put_name(at, months[t.month - 1]);
    *at++ = ' ';
    at = clock_put(at, t.year, 4);
    *at++ = ' ';
    at = clock_put_time(at, &t);
    at[0] = ' ';
    at[1] = 'G';
    at[2] = 'M';
    at[3] = 'T';
    at[4] = '\0';
}
