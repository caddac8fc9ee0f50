"""tables.py: the facts behind the rules, each in one place."""

from __future__ import annotations

# What a part may include besides itself (docs/tour.md, the house). Includes point down only.
LAYERS: dict[str, set[str]] = {
    "core": set(),
    "wire": {"core"},
    "store": {"core"},
    "egress": {"core", "wire"},
    "edge": {"core", "wire", "store", "egress"},
    "observe": {"core", "wire", "store", "egress"},
    "services": {"core", "wire", "store", "egress"},
    "operate": {"core", "wire", "store", "egress", "edge", "observe"},
    "dashboard": {"core", "wire", "observe", "operate", "services"},
    "cli": {"core", "wire", "operate"},
}
LAYERS["main"] = set(LAYERS)

# The parts that may include a library's headers.
HEADER_OWNERS: dict[str, set[str]] = {
    "uv.h": {"core"},
    "libfyaml.h": {"core"},
    "openssl/": {"wire"},
    "nghttp2/": {"wire"},
    "sqlite3.h": {"store"},
    "libpq-fe.h": {"store"},
    "curl/": {"egress"},
    "jansson.h": {"operate", "cli", "dashboard", "observe", "services"},
    "pthread.h": {"core"},
    "threads.h": {"core"},
    "semaphore.h": {"core"},
}

SYSTEM_HEADERS = {
    "assert.h", "ctype.h", "dirent.h", "errno.h", "fcntl.h", "float.h", "fnmatch.h", "glob.h",
    "grp.h", "inttypes.h", "limits.h", "math.h", "netdb.h", "poll.h", "pwd.h", "sched.h",
    "setjmp.h", "signal.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h",
    "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h", "syslog.h", "termios.h", "time.h",
    "unistd.h", "getopt.h", "endian.h", "byteswap.h", "immintrin.h", "emmintrin.h",
}
SYSTEM_HEADER_FOLDERS = ("sys/", "netinet/", "arpa/", "linux/", "net/")

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6

# Callbacks whose parameters a library dictates.
LIBRARY_CALLBACKS = {"tls_session_on_message", "tls_tickets_callback"}

# A header that speaks for a second small family of names, because they are one subject.
EXTRA_PREFIXES: dict[str, set[str]] = {
    "err": {"fault"},
    "mem": {"size"},
}

# Words of the build and the operating system that look like functions of another file.
UNPREFIXED_NAMES = {"main", "LLVMFuzzerTestOneInput", "LLVMFuzzerInitialize",
                    "LLVMFuzzerCustomMutator"}

_TEXT_NUMBERS = "span_parse_u64"
_CALENDAR = "clock_format_rfc3339 or clock_format_http"

# name -> (what to use instead, paths that may call it: a file, or a folder ending in '/')
BANNED_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: ("a struct buf", ()) for name in (
        "strcpy", "strcat", "strncpy", "strncat", "stpcpy", "sprintf", "vsprintf", "asprintf",
        "vasprintf", "gets", "alloca")},
    **{name: ("span_cut", ()) for name in ("strtok", "strtok_r", "strsep")},
    **{name: (_TEXT_NUMBERS, ()) for name in (
        "atoi", "atol", "atoll", "strtol", "strtoul", "strtoll", "strtoull", "sscanf", "scanf",
        "fscanf")},
    **{name: (_TEXT_NUMBERS + ", or the number reader in core", ("src/core/",)) for name in (
        "atof", "strtod", "strtof")},
    **{name: (_CALENDAR, ("src/core/clock.c",)) for name in (
        "gmtime", "gmtime_r", "localtime", "localtime_r", "mktime", "timegm", "ctime", "asctime",
        "strftime", "strptime")},
    **{name: ("clock_mono_ns or clock_wall_ns", ("src/core/clock.c",)) for name in (
        "time", "clock_gettime", "gettimeofday", "uv_hrtime", "uv_now")},
    **{name: ("random_u64 or random_bytes", ("src/core/random.c",)) for name in (
        "rand", "rand_r", "srand", "random", "srandom", "drand48", "lrand48", "getrandom",
        "getentropy", "arc4random")},
    # The keys of TLS come from the library that uses them.
    **{name: ("random_u64 or random_bytes", ("src/wire/tls_tickets.c",)) for name in (
        "RAND_bytes", "RAND_priv_bytes")},
    **{name: ("a timer", ()) for name in ("sleep", "usleep", "nanosleep", "clock_nanosleep")},
    **{name: ("mem_alloc or mem_try_alloc", ("src/core/mem.c",)) for name in (
        "malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "posix_memalign")},
    "free": ("mem_free", ("src/core/mem.c",)),
    **{name: ("mem_strdup or arena_copy", ()) for name in ("strdup", "strndup")},
    **{name: ("an err, returned up to main", ("src/main.c",)) for name in ("exit", "_exit",
                                                                          "quick_exit")},
    "abort": ("must()", ("src/core/must.c",)),
    "assert": ("must()", ()),
    **{name: ("posix_spawn in operate", ("src/operate/",)) for name in (
        "system", "popen", "fork", "vfork", "execv", "execvp", "execve", "execlp")},
    "signal": ("sigaction, or the loop's signal handle", ("src/core/", "src/main.c")),
    "getenv": ("a configuration value", ("src/core/", "src/cli/", "src/main.c")),
    **{name: ("log_emit, or the output of a command", ("src/core/must.c", "src/cli/", "src/main.c"))
       for name in ("printf", "vprintf", "puts", "putchar", "perror")},
    **{name: ("core's sockets", ("src/core/",)) for name in (
        "socket", "socketpair", "bind", "listen", "accept", "accept4", "connect", "recv",
        "recvfrom", "recvmsg", "send", "sendto", "sendmsg", "epoll_wait", "poll", "select",
        "getaddrinfo")},
}

# The commands are clients of the control socket: one blocking call at a time, no loop.
for _name in ("socket", "connect", "recv", "send", "poll", "getaddrinfo"):
    _text, _where = BANNED_CALLS[_name]
    BANNED_CALLS[_name] = (_text, _where + ("src/cli/",))

MUTEX_NAMES = (
    r"(?:pthread_(?:mutex|rwlock|cond|spin|barrier)_\w+|uv_(?:mutex|rwlock|cond|sem|barrier)_\w+"
    r"|mtx_\w+|cnd_\w+|sem_(?:init|wait|post)|pthread_create|uv_thread_create)"
)

# A module with public functions and no tests/<part>/test_<module>.c: the test that covers it.
TESTED_ELSEWHERE: dict[str, str] = {
    # They mean nothing outside a load.
    "src/core/config_leaf.c": "tests/core/test_config_load.c",
    "src/core/config_message.c": "tests/core/test_config_load.c",
    # They mean nothing without a running loop, and are tested on one.
    "src/core/mailbox.c": "tests/core/test_loop.c",
    "src/core/sock.c": "tests/core/test_loop.c",
    "src/core/timer.c": "tests/core/test_loop.c",
    "src/core/worker.c": "tests/core/test_loop.c",
    # The layout of a cell follows from its rule.
    "src/edge/limit_cell.c": "tests/edge/test_limit_rule.c",
}

# What is wiring (sockets, signals, commands, the walk of an exchange) is tested whole, by real
# clients against the running binary.
_SERVED = "tests/e2e/serve.test.mjs"
for _part, _modules in {
    "core": "part signals",
    "edge": "listener",
    "observe": "machine",
}.items():
    TESTED_ELSEWHERE |= {f"src/{_part}/{_module}.c": _SERVED for _module in _modules.split()}

# Pages that the binary writes (plimsoll docs): their white space is the generator's.
GENERATED_PAGES = {"docs/configuration.md", "docs/metrics.md", "docs/plimsoll.schema.json"}

MACHINE_PATHS = (r"/work/", r"/root/", r"/home/[a-z]", r"/Users/", r"[A-Z]:\\Users")
