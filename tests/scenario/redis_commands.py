"""Random commands for the differential test of the Redis listener. A family of commands is a table of Spec; a new family is a new table."""

from dataclasses import dataclass
from typing import Callable


NODE_ENTRIES = 10  # What stream-node-max-entries is set to.


@dataclass
class Spec:
    """One command: how often it is tried, and a function that makes its arguments from a World."""

    name: str
    weight: float
    make: Callable


class World:
    """What the generator knows of the keys of one connection. It steers, it does not judge: servers are compared with each other."""

    def __init__(self, random, prefix):
        self.random = random
        self.prefix = prefix
        # Keys with a and ~ are apart: generated ids are masked, and what approximate trimming leaves depends on how nodes were filled.
        self.plain = [f"{prefix}:s{n}" for n in range(3)]
        self.automatic = f"{prefix}:a"
        self.trimmed = f"{prefix}:t"
        self.grouped = [f"{prefix}:g{n}" for n in range(2)]  # With groups. Not copied: here a copy has none.
        self.last = {}  # Key -> milliseconds of the last explicit id, more or less.
        self.peak = 0  # No id of a grouped key is above it, but for those in `last`.

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return self.random.choice(choices)

    def key(self):
        if self.chance(0.03):
            return f"{self.prefix}:never"
        return self.pick(*self.plain)

    def any_key(self):
        return self.pick(*self.plain, self.automatic, self.trimmed, f"{self.prefix}:never")

    def word(self, word):
        """An option as people write it."""
        return self.pick(word, word, word.lower(), word.capitalize())

    def text(self):
        return self.pick("", "f", "field", "value", "key", "v" * self.random.randrange(40), "\r\n", "ä", "0", b"\x00\xff", "a b")

    def fields(self):
        pairs = self.random.choice((1, 1, 1, 2, 3, 5))
        words = [self.text() for _ in range(2 * pairs)]
        if self.chance(0.3):
            words[0] = self.pick("key", "value")
        return words

    def next_id(self, key):
        """Mostly one that is large enough."""
        last = self.last.get(key, 0)
        ms = last + self.random.choice((0, 0, 1, 1, 1, 2, 5))
        if self.chance(0.1):
            ms = max(0, last - self.random.randrange(5))
        self.last[key] = max(last, ms)
        form = self.random.random()
        if form < 0.4:
            return f"{ms}-*"
        if form < 0.5:
            return str(ms)
        return f"{ms}-{self.random.randrange(8)}"

    def some_id(self, key):
        """One that may be there."""
        last = self.last.get(key, 0)
        return f"{self.random.randint(max(0, last - 12), last + 2)}-{self.random.randrange(6)}"

    def kept_id(self, key):
        """One that leaves the last entry, though some may not have come to be: a node that goes before it is full puts later ones elsewhere."""
        last = self.last.get(key, 0)
        return f"{self.random.randint(max(0, last - 30), max(0, last - 12))}-{self.random.randrange(2)}"

    def bad_id(self):
        return self.pick("", "x", "1-", "-1", "1-x", "1-2-3", "*", "99999999999999999999", "1-*", "(1", "1" * 130, "+", "-", "$", ">")

    def bound(self, key, end):
        choice = self.random.random()
        if choice < 0.35:
            return "+" if end else "-"
        if choice < 0.4:
            return "-" if end else "+"
        if choice < 0.45:
            return self.bad_id()
        if choice < 0.48:
            return self.pick("(-", "(+", "(", "(0", "(18446744073709551615-18446744073709551615", "(0-0")
        id = self.some_id(key)
        if self.chance(0.3):
            id = id.split("-")[0]
        return "(" + id if self.chance(0.2) else id

    def number(self, low=0, high=20):
        return str(self.random.randint(low, high))

    def bad_number(self):
        return self.pick("", "x", "-1", "1.5", " 1", "+1", "01", "9223372036854775808", "-9223372036854775808", "1e3")

    def mostly(self, good, bad):
        return bad() if self.chance(0.08) else good()


def trim_options(world, key, exact):
    """MAXLEN or MINID; sometimes wrong."""
    words = []
    if world.chance(0.6):
        words.append(world.word("MAXLEN"))
        if exact is False or world.chance(0.3):
            words.append("=" if exact else "~")
        words.append(world.mostly(lambda: world.number(0 if exact else 1, 12), world.bad_number))
    else:
        words.append(world.word("MINID"))
        if exact is False or world.chance(0.3):
            words.append("=" if exact else "~")
        words.append(world.mostly(lambda: world.some_id(key) if exact else world.kept_id(key), world.bad_id))
    if world.chance(0.2 if not exact else 0.03):
        words += [world.word("LIMIT"), world.mostly(lambda: world.number(0, 30), world.bad_number)]
    if world.chance(0.02):
        words += [world.word("MAXLEN"), "3"]
    return words


def xadd(world):
    key = world.key()
    options = []
    if world.chance(0.1):
        options += [world.word("NOMKSTREAM")]
    if world.chance(0.12):
        options += trim_options(world, key, True)
        world.random.shuffle([options])
    id = world.mostly(lambda: world.next_id(key), world.bad_id)
    return [key, *options, id, *world.fields()]


def xadd_automatic(world):
    options = trim_options(world, world.automatic, True)[:2] if world.chance(0.02) else []
    return [world.automatic, *options, "*", *world.fields()]


def xadd_trimmed(world):
    """Appends by one alone: nodes are then what they are said to be."""
    ms = world.last.get(world.trimmed, 0) + 1
    world.last[world.trimmed] = ms
    options = ["MAXLEN", "~", world.mostly(lambda: world.number(NODE_ENTRIES, 60), world.bad_number)] if world.chance(0.1) else []
    if options and world.chance(0.3):
        options += ["LIMIT", world.mostly(lambda: world.number(0, 40), world.bad_number)]
    return [world.trimmed, *options, f"{ms}-1", "f", "v"]


def xtrim_trimmed(world):
    """Leaves the newest node: Redis begins its next one anew when that has gone, we go on counting."""
    words = trim_options(world, world.trimmed, False)
    if words[2].isdigit():
        words[2] = world.number(NODE_ENTRIES, 60)
    elif words[0].upper() == "MINID":
        words[2] = str(max(0, world.last.get(world.trimmed, 0) - world.random.randrange(NODE_ENTRIES, 60)))
    return [world.trimmed, *words]


def xlen(world):
    return [world.any_key()]


def xrange_words(world, backwards):
    key = world.any_key()
    start, end = world.bound(key, False), world.bound(key, True)
    words = [key, end, start] if backwards else [key, start, end]
    if key == world.automatic:
        words[1:] = ["+", "-"] if backwards else ["-", "+"]
    if world.chance(0.4):
        words += [world.word("COUNT"), world.mostly(lambda: world.number(-1, 8), world.bad_number)]
    if world.chance(0.02):
        words += [world.pick("COUNT", "FOO")]
    return words


def xread(world):
    words = []
    if world.chance(0.4):
        words += [world.word("COUNT"), world.mostly(lambda: world.number(-1, 5), world.bad_number)]
    if world.chance(0.1):
        words += [world.word("BLOCK"), world.mostly(lambda: world.number(1, 3), lambda: world.pick("x", "-1", "1.5"))]
    if world.chance(0.01):
        words += world.pick(["NOACK"], ["GROUP", "g", "c"], ["FOO"])
    words.append(world.word("STREAMS"))
    keys = [world.pick(*world.plain, world.trimmed) for _ in range(world.random.choice((1, 1, 2, 3)))]
    ids = [world.mostly(lambda: world.pick("0", "$", "0-0", world.some_id(key)), lambda: world.pick("x", ">", "-", "1-")) for key in keys]
    if world.chance(0.03):
        ids.pop()
    return [*words, *keys, *ids]


def xdel(world):
    key = world.key()
    return [key, *(world.mostly(lambda: world.some_id(key), world.bad_id) for _ in range(world.random.choice((1, 1, 2, 4))))]


def xtrim(world):
    key = world.key()
    words = trim_options(world, key, True)
    if world.chance(0.03):
        words = world.pick([], ["FOO", "1"], ["LIMIT", "1"], ["LIMIT", "0"], ["MAXLEN"])
    return [key, *words]


def xsetid(world):
    key = world.key()
    last = world.last.get(key, 0)
    world.last[key] = last + 3  # Whatever of these becomes the last id, the next one is above it.
    # Never below an entry that was deleted: AllowedDifferences has that.
    id = world.mostly(lambda: f"{last + 1 + world.random.randrange(3)}-{world.random.randrange(9)}", world.bad_id)
    words = []
    if world.chance(0.3):
        words += [world.word("ENTRIESADDED"), world.mostly(lambda: world.number(0, 300), world.bad_number)]
    if world.chance(0.3):
        words += [world.word("MAXDELETEDID"), world.mostly(lambda: world.some_id(key), world.bad_id)]
    if world.chance(0.03):
        words.append(world.pick("ENTRIESADDED", "FOO", "MAXDELETEDID"))
    return [key, id, *words]


def xinfo_stream(world):
    words = ["STREAM", world.key()]
    if world.chance(0.05):
        words = world.pick(["STREAM"], ["FOO", "x"], ["STREAM", world.key(), "FOO"], [])
    return words


def one_key(world):
    return [world.any_key()]


def some_keys(world):
    return [world.any_key() for _ in range(world.random.choice((1, 2, 3)))]


def delete(world):
    # Ids go on rising all the same: the deletion may be in a block that is discarded.
    return [world.pick(*world.plain, world.trimmed) for _ in range(world.random.choice((1, 1, 2)))]


def rename(world):
    words = [world.key(), world.key()]
    world.last[words[1]] = max(world.last.get(words[1], 0), world.last.get(words[0], 0))
    return words


def copy(world):
    words = rename(world)
    if world.chance(0.5):
        words.append(world.word("REPLACE"))
    if world.chance(0.1):
        words += world.pick(["DB", "0"], ["FOO"], ["DB", "x"])
    return words


def expire(world):
    words = [world.key(), world.mostly(lambda: str(world.random.randrange(10_000, 1_000_000_000)), lambda: world.pick("x", "99999999999999999", ""))]
    if world.chance(0.4):
        words += [world.word(world.pick("NX", "XX", "GT", "LT", "FOO"))]
    if world.chance(0.1):
        words += [world.pick("NX", "GT", "LT")]
    return words


def expireat(world):
    return [world.key(), world.pick("4000000000", "4100000000", "x"), *world.pick([], [], ["NX"], ["XX"], ["GT"], ["LT"])]


def nothing(_):
    return []


def odd_words(world):
    return world.pick([], ["a"], ["a", "b"], ["a" * 200, "b"], ["x\r\ny"])


STREAMS = [
    Spec("XADD", 20, xadd),
    Spec("XADD", 4, xadd_automatic),
    Spec("XADD", 8, xadd_trimmed),
    Spec("XLEN", 6, xlen),
    Spec("XRANGE", 9, lambda world: xrange_words(world, False)),
    Spec("XREVRANGE", 9, lambda world: xrange_words(world, True)),
    Spec("XREAD", 9, xread),
    Spec("XDEL", 7, xdel),
    Spec("XTRIM", 3, xtrim),
    Spec("XTRIM", 1, xtrim_trimmed),
    Spec("XSETID", 3, xsetid),
    Spec("XINFO", 5, xinfo_stream),
]

KEYSPACE = [
    Spec("EXISTS", 1, some_keys),
    Spec("TYPE", 1, one_key),
    Spec("OBJECT", 0.5, lambda world: [world.pick("ENCODING", "encoding", "FOO"), world.any_key()]),
    Spec("TOUCH", 0.5, some_keys),
    Spec("DEL", 0.5, delete),
    Spec("UNLINK", 0.3, delete),
    Spec("RENAME", 0.3, rename),
    Spec("RENAMENX", 0.3, rename),
    Spec("COPY", 0.4, copy),
    Spec("EXPIRE", 0.5, expire),
    Spec("PEXPIREAT", 0.3, lambda world: [world.key(), "4000000000000"]),
    Spec("EXPIREAT", 0.5, expireat),
    Spec("EXPIRETIME", 0.5, lambda world: [world.pick(*world.plain)]),
    Spec("PERSIST", 0.5, one_key),
]

CONNECTION = [
    Spec("PING", 1, lambda world: world.pick([], [], ["x"], ["x", "y"])),
    Spec("ECHO", 0.5, lambda world: [world.text()]),
    Spec("SELECT", 0.3, lambda world: [world.pick("0", "x", "-1", "100", "99999999999")]),
    Spec("CLIENT", 0.5, lambda world: world.pick(["SETNAME", "me"], ["SETNAME", "a b"], ["GETNAME"], ["FOO"], ["ID", "x"], ["NO-EVICT", "on"], ["REPLY", "x"])),
    Spec("AUTH", 0.3, lambda world: world.pick(["x"], ["default", "x"], ["me", "x"], ["a", "b", "c"])),
    Spec("HELLO", 0.2, lambda world: world.pick(["4"], ["x"], ["3", "FOO"], ["3", "SETNAME"], ["3", "AUTH", "me", "x"])),
    Spec("COMMAND", 0.5, lambda world: world.pick(["GETKEYS", "XADD", "k", "*", "f", "v"], ["GETKEYS", "XREAD", "COUNT", "1", "STREAMS", "a", "b", "0", "0"], ["GETKEYS", "DEL", "a", "b"], ["GETKEYS", "PING", "x"], ["GETKEYS", "NONE", "x"], ["FOO"])),
    Spec("CONFIG", 0.3, lambda world: world.pick(["GET", "none"], ["GET", "stream-node-max-entries"], ["GET", "save"], ["SET", "none", "1"], ["SET", "save"], ["SET", "a", "b", "c"], ["FOO"])),
    Spec("WAIT", 0.2, lambda world: world.pick(["0", "0"], ["x", "0"], ["0", "x"], ["0", "-1"])),
    Spec("PUBLISH", 0.3, lambda world: ["nobody", "x"]),
    Spec("SCRIPT", 0.2, lambda world: world.pick(["FLUSH"], ["FLUSH", "async"], ["FLUSH", "x"])),
    Spec("FUNCTION", 0.2, lambda world: world.pick(["FLUSH"], ["FLUSH", "sync"], ["FLUSH", "x"])),
    Spec("PUBSUB", 0.3, lambda world: world.pick(["NUMSUB", "a"], ["CHANNELS", "x*"], ["NUMPAT"], ["FOO"], ["CHANNELS", "a", "b"])),
    Spec("UNWATCH", 0.2, nothing),
    Spec("DISCARD", 0.2, nothing),
    Spec("EXEC", 0.2, nothing),
    Spec("NONSENSE", 0.4, odd_words),
]


def group_key(world):
    return f"{world.prefix}:nogroups" if world.chance(0.02) else world.pick(*world.grouped)


def group(world):
    return "none" if world.chance(0.03) else world.pick("g1", "g2")


def consumer(world):
    return world.pick("c1", "c2", "c3")


def group_ids(world, key, most=4):
    return [world.mostly(lambda: world.some_id(key), world.bad_id) for _ in range(world.random.randint(1, most))]


def xadd_grouped(world):
    key = world.pick(*world.grouped)
    return [key, world.next_id(key), "f", "v"]


def xdel_grouped(world):
    key = world.pick(*world.grouped)
    return [key, *(world.some_id(key) for _ in range(2))]


def xtrim_grouped(world):
    return [world.pick(*world.grouped), "MAXLEN", world.number(0, 12)]


def xsetid_grouped(world):
    key = world.pick(*world.grouped)
    words = ["ENTRIESADDED", world.number(0, 300)] if world.chance(0.3) else []
    # A key that was to be deleted may still be there: above everything, or it might lie below a deleted entry.
    world.peak = max(world.peak, *world.last.values(), 0) + 1
    world.last[key] = world.peak
    return [key, f"{world.peak}-0", *words]


def delete_grouped(world):
    key = world.pick(*world.grouped)
    world.peak = max(world.peak, world.last.pop(key, 0))
    return [key]


def xgroup(world):
    key, how = group_key(world), world.random.random()
    if how < 0.55:
        words = [world.word("CREATE"), key, group(world), world.mostly(lambda: world.pick("$", "0", "0", world.some_id(key)), world.bad_id)]
        if world.chance(0.8):
            words.append(world.word("MKSTREAM"))
        if world.chance(0.1):
            words += ["ENTRIESREAD", world.mostly(lambda: world.number(-1, 20), world.bad_number)]
    elif how < 0.75:
        words = [world.word("SETID"), key, group(world), world.mostly(lambda: world.pick("$", "0", "-", world.some_id(key)), world.bad_id)]
        if world.chance(0.2):
            words += ["ENTRIESREAD", world.mostly(lambda: world.number(-1, 20), world.bad_number)]
    elif how < 0.8:
        words = ["DESTROY", f"{world.prefix}:nogroups" if world.chance(0.25) else key, group(world)]
    elif how < 0.9:
        words = ["CREATECONSUMER", key, group(world), consumer(world)]
    elif how < 0.97:
        words = ["DELCONSUMER", key, group(world), consumer(world)]
    else:
        words = world.pick(["HELP"], ["FOO", key], ["CREATE", key], ["CREATE", key, "g1", "0", "FOO"], ["SETID", key, "g1", "0", "FOO", "1"],
                           ["CREATE", key, "g1", "0", "MKSTREAM", "MKSTREAM", "MKSTREAM", "MKSTREAM"], ["HELP", "x"])
    return words


def xreadgroup(world):
    words = [world.word("GROUP"), group(world), consumer(world)]
    if world.chance(0.6):
        words += [world.word("COUNT"), world.mostly(lambda: world.number(-1, 5), world.bad_number)]
    if world.chance(0.05):
        words += [world.word("BLOCK"), world.mostly(lambda: world.number(1, 3), lambda: world.pick("x", "-1", "1.5"))]
    if world.chance(0.1):
        words.append(world.word("NOACK"))
    if world.chance(0.02):
        words = world.pick(words[3:], [*words, "FOO"], ["GROUP", "g1"])
    words.append(world.word("STREAMS"))
    keys = [group_key(world) for _ in range(world.random.choice((1, 1, 1, 2)))]
    ids = [world.mostly(lambda: world.pick(">", ">", ">", "0", world.some_id(key)), lambda: world.pick("x", "$", "-", "+", "1-")) for key in keys]
    if world.chance(0.02):
        ids.pop()
    return [*words, *keys, *ids]


def xack(world):
    key = group_key(world)
    return [key, group(world), *group_ids(world, key)]


# Idle times are 0, or far from what is asked: what passes between two commands must not matter.
def idle(world):
    return world.pick("0", "0", "0", "100000", "-5")


def xpending(world):
    key = group_key(world)
    words = [key, group(world)]
    if world.chance(0.7):
        if world.chance(0.2):
            words += [world.word("IDLE"), world.mostly(lambda: idle(world), world.bad_number)]
        words += [world.bound(key, False), world.bound(key, True), world.mostly(lambda: world.number(-1, 10), world.bad_number)]
        if world.chance(0.4):
            words.append(world.pick("c1", "c2", "nobody"))
    if world.chance(0.03):
        words = world.pick(words[:4], [*words, "x", "y"], [*words, "a", "b", "c", "d", "e"])
    return words


def xclaim(world):
    key = group_key(world)
    words = [key, group(world), consumer(world), world.mostly(lambda: idle(world), world.bad_number), *group_ids(world, key)]
    for option in ("FORCE", "JUSTID"):
        if world.chance(0.2):
            words.append(world.word(option))
    if world.chance(0.2):
        words += [world.word("IDLE"), world.mostly(lambda: world.pick("1", "500000"), world.bad_number)]
    if world.chance(0.1):
        words += [world.word("TIME"), world.mostly(lambda: world.pick("1000000000000", "99999999999999", "-1"), world.bad_number)]
    if world.chance(0.2):
        words += [world.word("RETRYCOUNT"), world.mostly(lambda: world.number(0, 9), world.bad_number)]
    if world.chance(0.05):
        words += [world.word("LASTID"), world.mostly(lambda: world.some_id(key), world.bad_id)]
    if world.chance(0.02):
        words.append(world.pick("FOO", "IDLE", "TIME"))
    return words


def xautoclaim(world):
    key = group_key(world)
    words = [key, group(world), consumer(world), world.mostly(lambda: idle(world), world.bad_number),
             world.mostly(lambda: world.pick("0", "0-0", world.some_id(key), "(" + world.some_id(key), "-"), world.bad_id)]
    if world.chance(0.5):
        words += [world.word("COUNT"), world.mostly(lambda: world.number(1, 4), world.bad_number)]
    if world.chance(0.3):
        words.append(world.word("JUSTID"))
    if world.chance(0.02):
        words.append("FOO")
    return words


def xinfo_grouped(world):
    key = group_key(world)
    words = world.pick(["GROUPS", key], ["GROUPS", key], ["CONSUMERS", key, group(world)], ["STREAM", key], ["STREAM", key, world.word("FULL")])
    if words[-1].upper() == "FULL" and world.chance(0.5):
        words += [world.word("COUNT"), world.mostly(lambda: world.number(-1, 5), world.bad_number)]
    if world.chance(0.05):
        words = world.pick(["GROUPS"], ["CONSUMERS", key], ["HELP"], ["HELP", "x"], ["STREAM", key, "FULL", "COUNT"], ["STREAM", key, "FULL", "x", "1"],
                           ["GROUPS", key, "x"])
    return words


GROUPS = [
    Spec("XADD", 12, xadd_grouped),
    Spec("XDEL", 3, xdel_grouped),
    Spec("XTRIM", 0.5, xtrim_grouped),
    Spec("XSETID", 0.3, xsetid_grouped),
    Spec("DEL", 0.1, delete_grouped),
    Spec("XGROUP", 5, xgroup),
    Spec("XREADGROUP", 12, xreadgroup),
    Spec("XACK", 6, xack),
    Spec("XPENDING", 6, xpending),
    Spec("XCLAIM", 6, xclaim),
    Spec("XAUTOCLAIM", 5, xautoclaim),
    Spec("XINFO", 8, xinfo_grouped),
]

FAMILIES = [STREAMS, GROUPS, KEYSPACE, CONNECTION]


class Generator:
    """An endless sequence of commands on the keys of one connection; MULTI blocks among them."""

    def __init__(self, random, prefix, families=FAMILIES):
        self.world = World(random, prefix)
        self.random = random
        self.specs = [spec for family in families for spec in family]
        self.weights = [spec.weight for spec in self.specs]
        self.left_in_block = 0

    def next(self):
        if self.left_in_block:
            self.left_in_block -= 1
            if self.left_in_block == 0:
                return [self.world.pick("EXEC", "EXEC", "EXEC", "DISCARD")]
        elif self.random.random() < 0.01:
            self.left_in_block = self.random.randrange(1, 8)
            return ["MULTI"]
        while True:
            spec = self.random.choices(self.specs, self.weights)[0]
            # A block ends with its own EXEC; what blocks would take its time there.
            if not self.left_in_block or spec.name not in ("EXEC", "DISCARD", "UNWATCH"):
                break
        words = [spec.name, *spec.make(self.world)]
        return self.spoil(words) if self.random.random() < 0.02 else words

    def spoil(self, words):
        """A word too few, too many or another one."""
        how = self.random.randrange(3)
        if how == 0 and len(words) > 1:
            words.pop()
        elif how == 1:
            words.append(self.world.pick("x", "", "1"))
        elif len(words) > 2:
            words[self.random.randrange(2, len(words))] = self.world.pick("", "x", "-1", "*", "STREAMS")
        # Another word would make some reach beyond the keys of this connection, or its replies.
        beyond = ("SELECT", "COMMAND", "XGROUP", "DEL", "UNLINK", "CLIENT", "HELLO", "CONFIG", "WAIT", "SCRIPT", "RENAME", "RENAMENX", "COPY")
        return ["PING"] if words[0] in beyond else words
