"""Rules about the source tree that a compiler does not know. Each rule is a function (path, text) -> [(line, message)], where `path` is
relative to the top of the tree; tree_test.py applies them to every file and proves of each that it finds a planted violation."""
import bisect
import re

# ---------------------------------------------------------------------------------------------------------------------- reading C++


def blank_comments_and_literals(text, keep_includes=False):
    """`text` with the contents of comments, strings and character literals replaced by blanks; lines and columns stay as they are."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\ ]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])*\'', re.S
    )

    def blank(match):
        piece = match.group(0)
        if keep_includes and piece.startswith('"'):
            line_start = text.rfind("\n", 0, match.start()) + 1
            if text[line_start : match.start()].strip() == "#include":
                return piece
        if piece.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", piece)
        return piece[0] + re.sub(r"[^\n]", " ", piece[1:-1]) + piece[-1]

    return token.sub(blank, text)


class Lines:
    """Line number of a position in a text."""

    def __init__(self, text):
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]

    def at(self, position):
        return bisect.bisect_right(self.starts, position)


def is_cpp(path):
    return path.endswith((".cc", ".h"))


def includes(text):
    """(line, included file, "quotes" or "angle brackets") of each #include."""
    code = blank_comments_and_literals(text, keep_includes=True)
    for number, line in enumerate(code.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if match:
            yield number, match.group(1) or match.group(2), "quotes" if match.group(1) else "angle brackets"


# ---------------------------------------------------------------------------------------------------------------------- layer edges

OUR_FOLDERS = ("storage", "broker", "protocol", "client", "tools", "tests", "bench", "examples", "tidemark")


def allowed_includes(path):
    """Prefixes that a file at `path` may include of ours; None: all."""
    protocol = re.match(r"protocol/(\w+)/", path)
    if path.startswith("storage/base/"):
        return ["storage/base/"]
    if path.startswith("storage/batch/"):
        return ["storage/base/", "storage/batch/"]
    if path.startswith("storage/"):
        return ["storage/"]
    if path.startswith("broker/"):
        return ["storage/", "broker/"]
    if protocol:
        own = f"protocol/{protocol.group(1)}/"
        if path.startswith(own + "codec/"):
            return ["storage/base/", "storage/batch/", own + "codec/", own + "wire.pb.h"]
        return ["storage/", "broker/", own, "protocol/net/"]
    if path.startswith("client/"):
        return ["storage/base/", "storage/batch/", "protocol/native/codec/", "protocol/native/wire.pb.h", "client/", "tidemark/"]
    if path.startswith("tools/"):
        return ["storage/", "broker/", "protocol/", "client/", "tidemark/", "tools/"]
    if path.startswith("examples/"):
        return ["tidemark/", "examples/"]
    return None  # Tests and benchmarks look at everything.


# Third-party headers that have one place, because they cost seconds a file or would leak through a contract.
HEADER_HOMES = [
    (re.compile(r"boost/beast"), re.compile(r"protocol/http/\w+\.cc$"), "Beast stays in protocol/http/*.cc"),
    (re.compile(r"spdlog/"), re.compile(r"storage/base/log\.cc$"), "spdlog stays in storage/base/log.cc"),
    (re.compile(r"prometheus/"), re.compile(r"protocol/http/"), "prometheus stays in protocol/http"),
    (
        re.compile(r"boost/asio"),
        re.compile(r"broker/thread_runtime\.(h|cc)$|protocol/\w+/adapter/|protocol/(?:net|http)/|client/|tools/"),
        "Asio stays in the runtime, the adapters, the client and the tools",
    ),
    (re.compile(r"CLI/|toml\+\+"), re.compile(r"tools/"), "command line and configuration files belong to tools/"),
]


def forbidden_includes(path, text):
    found = []
    if not is_cpp(path):
        return found
    allowed = allowed_includes(path)
    free = path.startswith(("tests/", "bench/"))
    for line, name, kind in includes(text):
        ours = name.split("/")[0] in OUR_FOLDERS and "/" in name
        if kind == "quotes" and not ours:
            found.append((line, f'"{name}" is not a path from the top of the tree'))
        elif ours and allowed is not None and not name.startswith(tuple(allowed)):
            found.append((line, f"{name} is not in a layer that this file may use ({', '.join(allowed)})"))
        elif path.startswith("client/include/") and (name.endswith(".pb.h") or name.startswith("google/protobuf")):
            found.append((line, f"{name}: no protobuf type in the client's public headers"))
        if not free:
            found += [(line, f"{name}: {why}") for header, home, why in HEADER_HOMES if header.match(name) and not home.match(path)]
    return found


# ---------------------------------------------------------------------------------------------------------------------------- seams

# Where the operating system may be called. Everything else reaches it through FileSystem, Clock and Runtime, or it cannot be simulated.
SEAMS = [
    "storage/posix_file_system.cc",
    "broker/thread_runtime.h",
    "broker/thread_runtime.cc",
    "protocol/*/adapter/",
    "protocol/net/",
    "protocol/http/",
    "client/src/",
    "client/include/tidemark/queue_consumer.h",  # Takes a std::stop_token, and calls nothing of the system.
    "tools/",
]
CLOCK_SEAMS = ["storage/base/clock.h"]
ENGINE = ("storage/", "broker/", "protocol/", "client/")

SYSTEM_HEADERS = re.compile(
    r"(fcntl\.h|unistd\.h|dirent\.h|poll\.h|netdb\.h|pthread\.h|fstream|filesystem|thread|stop_token|future|condition_variable|semaphore"
    r"|sys/(stat|mman|socket|file|uio|vfs|statvfs|statfs|epoll|eventfd|timerfd|resource|types)\.h|netinet/.*|arpa/.*)$"
)
# Names that only the operating system has: any free call.
OWN_NAMES = (
    "creat openat pread pwrite preadv pwritev readv writev fsync fdatasync syncfs sync_file_range ftruncate fallocate posix_fallocate "
    "posix_fadvise mmap munmap msync unlink unlinkat renameat opendir readdir fopen fdopen freopen fread fwrite mkstemp mkdtemp flock "
    "statvfs fstatvfs fstat lstat fcntl ioctl epoll_create1 epoll_wait eventfd timerfd_create timer_create nanosleep usleep "
    "pthread_create getaddrinfo setsockopt accept4 recvmsg sendmsg recvfrom sendto"
).split()
# Names that our own types use too: only as ::name(...) of the global namespace.
SHARED_NAMES = "open close read write lseek rename remove mkdir rmdir stat access truncate socket bind listen connect accept recv send poll".split()

SYSTEM_CALLS = [
    ("file or socket call", re.compile(r"(?<![\w.:>~])(?:::)?(%s)\s*\(" % "|".join(OWN_NAMES))),
    ("file or socket call", re.compile(r"(?<![\w>])::(%s)\s*\(" % "|".join(SHARED_NAMES))),
    ("file call", re.compile(r"\bstd::(ifstream|ofstream|fstream|filesystem|fopen|remove\s*\(\s*\")")),
    ("thread", re.compile(r"\bstd::(thread|jthread|async|this_thread|condition_variable\w*|counting_semaphore|binary_semaphore)\b")),
    ("thread", re.compile(r"\basio::(thread_pool|io_context|executor_work_guard)\b")),
    ("timer", re.compile(r"\b(steady_timer|system_timer|high_resolution_timer|deadline_timer|sleep_for|sleep_until)\b")),
    ("socket", re.compile(r"\basio::(ip|local)::")),
]
CLOCK_READS = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)::now\b|(?<![\w.:>])(?:::)?(?:clock_)?gettime(?:ofday)?\s*\(")


def in_places(path, places):
    """Whether `path` is one of `places`: a file, a folder ending in /, with * for one folder name."""
    for place in places:
        pattern = re.escape(place).replace(r"\*", "[^/]+")
        if re.match(pattern + ("" if place.endswith("/") else "$"), path):
            return True
    return False


def calls_outside_seams(path, text):
    if not is_cpp(path) or not path.startswith(ENGINE) or in_places(path, SEAMS):
        return []
    found = [(line, f"<{name}> outside the seams") for line, name, kind in includes(text) if SYSTEM_HEADERS.match(name)]
    code = blank_comments_and_literals(text)
    lines = Lines(code)
    for kind, pattern in SYSTEM_CALLS:
        found += [(lines.at(match.start()), f"{kind} outside the seams: {match.group(0).strip()}") for match in pattern.finditer(code)]
    if not in_places(path, CLOCK_SEAMS):
        found += [(lines.at(match.start()), f"reads the system clock: {match.group(0)}") for match in CLOCK_READS.finditer(code)]
    return found


# ----------------------------------------------------------------------------------------------------------------------- coroutines

LAMBDA_HEAD = re.compile(
    r"\[(?P<captures>[^\[\]]*)\]\s*(?:<[^<>]*>\s*)?(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\s*)?"
    r"(?:mutable\b\s*|noexcept\b\s*|constexpr\b\s*)*(?:->\s*[\w:<>,&*\s]+)?$"
)
BLOCK_HEAD = re.compile(
    r"(?:^|[;{}:)]|\b(?:else|do|try|const|noexcept|override|final|mutable))\s*$"
    r"|^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?(?:class|struct|union|enum|namespace|extern)\b|\)\s*(?:const\s*)?->\s*[\w:<>,&*\s]+$",
    re.S,
)


def statements(code):
    """(position, text) of each statement of `code`. Blocks end a statement; a lambda's body is split on its own, and stands as {} in
    the statement around it; braces of an expression stay."""
    found = []

    def scan(i, closing):
        current, start, braces = "", i, 0
        while i < len(code):
            c = code[i]
            if c == "{":
                head = current.rstrip()
                lambda_head = LAMBDA_HEAD.search(head)
                # A subscript or an attribute is followed by neither a body nor a parameter list and a body.
                if lambda_head and not re.search(r"[\w\])]$", head[: lambda_head.start()].rstrip() or " "):
                    i = scan(i + 1, True)
                    current += "\x00"  # A lambda's body.
                elif re.search(r"\b(?:return|co_return|co_yield)\s*\[[^\[\]]*\][^;]*$", head) and lambda_head:
                    i = scan(i + 1, True)
                    current += "\x00"
                elif braces == 0 and current.count("(") == current.count(")") and BLOCK_HEAD.search(head):
                    found.append((start, current))
                    i = scan(i + 1, True)
                    current, start = "", i
                else:
                    braces += 1
                    current += c
                    i += 1
                continue
            if c == "}":
                if braces == 0 and closing:
                    found.append((start, current))
                    return i + 1
                braces = max(0, braces - 1)
            elif c == ";" and braces == 0 and current.count("(") <= current.count(")"):  # Not those of a for or an if.
                found.append((start, current))
                current, start = "", i + 1
                i += 1
                continue
            if not current.strip():
                start = i
            current += c
            i += 1
        found.append((start, current))
        return i

    scan(0, False)
    return found


def coroutine_traps(path, text):
    """g++ 12 destroys temporaries beside a co_await twice; the client's public headers are compiled with it, and the habit is one."""
    if not is_cpp(path) or ("co_await" not in text and "detached" not in text):
        return []
    code = re.sub(r"(?m)^[ \t]*#.*$", lambda match: " " * len(match.group(0)), blank_comments_and_literals(text))
    lines = Lines(code)
    found = [(lines.at(match.start()), "detached swallows exceptions: use spawn") for match in re.finditer(r"\bdetached\b", code)]
    for position, statement in statements(code):
        if not re.search(r"\bco_await\b", statement):
            continue
        line = lines.at(position + len(statement) - len(statement.lstrip()))
        if re.search(r"\bswitch\s*\(.*\bco_await\b", statement, re.S):
            found.append((line, "switch on a co_await"))
        if "{" in statement:
            found.append((line, "braces beside a co_await"))
        if "?" in statement:
            found.append((line, "?: beside a co_await"))
        for match in re.finditer(r"\[([^\[\]]*)\][^\[\]\x00]*\x00", statement):
            if match.group(1).strip():
                found.append((line, "capturing lambda beside a co_await"))
    return found


# ---------------------------------------------------------------------------------------------------------------------------- tests


def weak_tests(path, text):
    """Skipping without a named reason, tests switched off, tests that wait for time to pass."""
    if not path.startswith("tests/") or not is_cpp(path):
        return []
    code = blank_comments_and_literals(text)
    found = []
    macro = False  # Within a #define TIDEMARK_SKIP_..., continuation lines included.
    for number, line in enumerate(code.splitlines(), 1):
        macro = bool(re.match(r"\s*#\s*define\s+TIDEMARK_SKIP_\w+", line)) or macro
        if "GTEST_" + "SKIP" in line and not macro:
            found.append((number, "skip only through a macro TIDEMARK_SKIP_..., which prints why"))
        if re.search(r"\bDISABLED_\w", line):
            found.append((number, "a disabled test"))
        if re.search(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b", line):
            found.append((number, "a sleep in a test"))
        if re.search(r"\b(EXPECT|ASSERT)_TRUE\(\s*true\s*\)", line):
            found.append((number, "a test that cannot fail"))
        macro = macro and line.rstrip().endswith("\\")
    return found


# ------------------------------------------------------------------------------------------------------------------------- all files

MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home/[\w.-]+|root|work|Users/[\w.-]+)/")
PROMISE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def machine_paths(path, text):
    lines = enumerate(text.splitlines(), 1)
    return [(number, f"a path of one machine: {match.group(0)}") for number, line in lines for match in MACHINE_PATH.finditer(line)]


def promises(path, text):
    lines = enumerate(text.splitlines(), 1)
    return [(number, f"a promise instead of code: {match.group(0)}") for number, line in lines for match in PROMISE.finditer(line)]


LINES_MAX = 800


def too_long(path, text):
    count = text.count("\n")
    return [(LINES_MAX, f"{count} lines: two concepts?")] if is_cpp(path) and count > LINES_MAX else []
