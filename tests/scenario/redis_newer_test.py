#!/usr/bin/env python3
"""Stream commands that came with Redis 8: what they answer, what they refuse, and that it survives a kill.
Usage: redis_newer_test.py BIN_DIR [TEST...]"""

import pathlib
import sys
import unittest

from broker_process import Broker
from redis_wire import Connection, Failure

BIN = pathlib.Path()  # Set by main.
INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
KEPT, NEEDED, NOT_THERE = 1, 2, -1


class NewerCommands(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, redis="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.client = self.connect()

    def connect(self):
        client = Connection(self.broker.redis_port)
        self.addCleanup(client.close)
        return client

    def ask(self, line, *more):
        return self.client.ask(*line.split(), *more)

    def refuses(self, line, error, *more):
        reply = self.ask(line, *more)
        self.assertIsInstance(reply, Failure, line)
        self.assertEqual(reply, error, line)

    def fill(self, key, count, first=1):
        for n in range(first, first + count):
            self.ask(f"XADD {key} {n}-0 f v{n}")

    def ids(self, key):
        return [entry[0].decode().split("-")[0] for entry in self.ask(f"XRANGE {key} - +")]

    def pending(self, key, group):
        return {row[0].decode().split("-")[0]: (row[1].decode(), row[3]) for row in self.ask(f"XPENDING {key} {group} - + 1000")}

    def read(self, group, consumer, key, count=100):
        return self.ask(f"XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {key} >")

    def kill_and_start(self):
        self.broker.kill()
        self.broker.start()
        self.client = self.connect()

    def two_groups(self, key, entries):
        self.fill(key, entries)
        for group in ("g", "h"):
            self.assertEqual(self.ask(f"XGROUP CREATE {key} {group} 0"), b"OK")

    def test_help_lists_the_subcommands_that_are_served(self):
        for command in "CLIENT COMMAND CONFIG FUNCTION MEMORY OBJECT PUBSUB SCRIPT".split():
            lines = self.ask(f"{command} help")
            self.assertEqual(lines[0].decode(), f"{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
            self.assertEqual(lines[-2:], [b"HELP", b"    Prints this help."])
            self.refuses(f"{command} HELP x", f"ERR wrong number of arguments for '{command.lower()}|help' command")
        self.assertIn(b"UNBLOCK", self.ask("CLIENT HELP"))

    # --- XDELEX, XACKDEL.

    def test_xdelex(self):
        self.assertEqual(self.ask("XDELEX none IDS 2 1-0 2-0"), [NOT_THERE, NOT_THERE])
        self.two_groups("s", 6)
        self.read("g", "a", "s", 4)
        self.read("h", "a", "s", 3)
        self.assertEqual(self.ask("XDELEX s IDS 2 1-0 9-0"), [KEPT, NOT_THERE])
        self.assertEqual(sorted(self.pending("s", "g")), ["1", "2", "3", "4"])  # KEEPREF is what nobody asks for.
        self.assertEqual(self.ask("XDELEX s DELREF IDS 3 1-0 2-0 2-0"), [NOT_THERE, KEPT, NOT_THERE])
        self.assertEqual(sorted(self.pending("s", "g")), ["3", "4"])
        self.assertEqual(sorted(self.pending("s", "h")), ["3"])
        # 3 is pending in both, 4 in one and new to the other, 5 new to both; 9 is nothing, but nobody has come so far.
        self.assertEqual(self.ask("XDELEX s ACKED IDS 4 3-0 4-0 5-0 9-0"), [NEEDED] * 4)
        self.assertEqual(self.ask("XACK s g 3-0"), 1)
        self.assertEqual(self.ask("XDELEX s ACKED IDS 1 3-0"), [NEEDED])
        self.assertEqual(self.ask("XACK s h 3-0"), 1)
        self.assertEqual(self.ask("XDELEX s IDS 1 3-0 ACKED"), [KEPT])
        self.assertEqual(self.ids("s"), ["4", "5", "6"])
        before = self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")
        self.kill_and_start()
        self.assertEqual((self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")), before)

    def test_xackdel(self):
        self.assertEqual(self.ask("XACKDEL none g IDS 1 1-0"), [NOT_THERE])
        self.two_groups("s", 8)
        self.assertEqual(self.ask("XACKDEL s nobody IDS 2 1-0 2-0"), [NOT_THERE, NOT_THERE])
        self.read("g", "a", "s", 7)
        self.read("h", "a", "s", 6)
        self.assertEqual(self.ask("XACKDEL s g IDS 3 1-0 1-0 8-0"), [KEPT, NOT_THERE, NOT_THERE])
        self.assertEqual(self.ask("XACKDEL s g DELREF IDS 1 2-0"), [KEPT])
        self.assertEqual(self.ask("XACKDEL s g ACKED IDS 2 3-0 7-0"), [NEEDED, NEEDED])
        self.assertEqual(sorted(self.pending("s", "g")), ["4", "5", "6"])
        self.assertEqual(sorted(self.pending("s", "h")), ["1", "3", "4", "5", "6"])
        self.assertEqual(self.ask("XACKDEL s h ACKED IDS 1 3-0"), [KEPT])  # The last one to need it.
        self.ask("XDEL s 4-0")
        self.assertEqual(self.ask("XACKDEL s g IDS 1 4-0"), [KEPT])  # It had gone already.
        self.assertEqual(self.ids("s"), ["5", "6", "7", "8"])
        before = self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")
        self.kill_and_start()
        self.assertEqual((self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")), before)

    def test_wrong_arguments_of_removals(self):
        self.fill("s", 2)
        self.ask("XGROUP CREATE s g 0")
        for command in ("XDELEX s", "XACKDEL s g"):
            self.refuses(f"{command} IDS abc 1-1", "ERR Number of IDs must be a positive integer")
            self.refuses(f"{command} IDS 0 1-1", "ERR Number of IDs must be a positive integer")
            self.refuses(f"{command} IDS -5 1-1", "ERR Number of IDs must be a positive integer")
            self.refuses(f"{command} IDS 3 1-1 2-2", "ERR The `numids` parameter must match the number of arguments")
            self.refuses(f"{command} IDS 9223372036854775807 1-1", "ERR The `numids` parameter must match the number of arguments")
            self.refuses(f"{command} IDS 1 1-1 2-2", "ERR syntax error")
            self.refuses(f"{command} KEEPREF DELREF IDS 1 1-1", "ERR syntax error")
            self.refuses(f"{command} ACKED ACKED IDS 1 1-1", "ERR syntax error")
            self.refuses(f"{command} BOGUS IDS 1 1-1", "ERR syntax error")
            self.refuses(f"{command} IDS 2 1-0 nonsense", INVALID_ID)
            name = command.split()[0].lower()
            self.refuses(f"{command} IDS", f"ERR wrong number of arguments for '{name}' command")
        self.refuses("XDELEX s KEEPREF IDS 1", "ERR The `numids` parameter must match the number of arguments")
        self.refuses("XDELEX none IDS 1 1-1 2-2", "ERR syntax error")  # Options come before the key,
        self.assertEqual(self.ask("XDELEX none IDS 1 nonsense"), [NOT_THERE])  # and the key before the ids.
        self.assertEqual(self.ask("XACKDEL s nobody IDS 1 nonsense"), [NOT_THERE])
        self.assertEqual(self.ids("s"), ["1", "2"])

    # --- Trims with regard to groups.

    def test_trims_that_groups_hear_of(self):
        self.two_groups("s", 10)
        self.read("g", "a", "s", 6)
        self.read("h", "a", "s", 8)
        self.assertEqual(self.ask("XTRIM s MAXLEN 8"), 2)
        self.assertEqual(sorted(self.pending("s", "g")), ["1", "2", "3", "4", "5", "6"])
        self.assertEqual(self.ask("XTRIM s DELREF MAXLEN = 6"), 2)
        self.assertEqual(sorted(self.pending("s", "g")), ["1", "2", "5", "6"])
        self.assertEqual(self.ask("XTRIM s MINID 100 ACKED"), 0)
        self.assertEqual(self.ask("XACK s g 5-0 6-0"), 2)
        self.assertEqual(self.ask("XACK s h 6-0"), 1)
        self.assertEqual(self.ask("XTRIM s ACKED MAXLEN 4"), 1)  # 5 stays, 6 goes.
        self.assertEqual(self.ids("s"), ["5", "7", "8", "9", "10"])
        self.assertEqual(self.ask("XADD s DELREF MAXLEN 2 11-0 f v"), b"11-0")
        self.assertEqual(self.ids("s"), ["10", "11"])
        self.assertEqual(sorted(self.pending("s", "h")), ["1", "2"])
        self.assertEqual(self.ask("XADD s ACKED MINID 12 12-0 f v"), b"12-0")
        self.assertEqual(self.ids("s"), ["10", "11", "12"])
        before = self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")
        self.kill_and_start()
        self.assertEqual((self.ask("XINFO STREAM s"), self.pending("s", "g"), self.pending("s", "h")), before)

    def test_approximate_trims_are_exact_with_regard_to_groups(self):
        self.ask("CONFIG SET stream-node-max-entries 10")
        self.fill("s", 35)
        self.assertEqual(self.ask("XTRIM s MAXLEN ~ 12"), 20)
        self.assertEqual(self.ask("XTRIM s DELREF MAXLEN ~ 12"), 3)
        self.assertEqual(self.ask("XTRIM s DELREF MAXLEN ~ 1 LIMIT 5"), 0)  # The first node has seven.
        self.assertEqual(self.ask("XTRIM s DELREF MAXLEN ~ 1 LIMIT 7"), 7)
        self.refuses("XTRIM s MAXLEN 1 KEEPREF ACKED", "ERR syntax error")
        self.refuses("XADD s KEEPREF DELREF * f v", INVALID_ID)

    # --- XREADGROUP CLAIM.

    def test_claiming_while_reading(self):
        self.fill("s", 4)
        self.ask("XGROUP CREATE s g 0")
        self.read("g", "a", "s", 3)
        self.ask("XCLAIM s g a 0 2-0 TIME 1000 RETRYCOUNT 7")
        self.ask("XCLAIM s g a 0 3-0 TIME 2000 RETRYCOUNT 5")
        reply = self.ask("XREADGROUP GROUP g b CLAIM 3600000 COUNT 2 STREAMS s >")
        self.assertEqual([[entry[0], entry[1], entry[3]] for entry in reply[0][1]],
                         [[b"2-0", [b"f", b"v2"], 7], [b"3-0", [b"f", b"v3"], 5]])
        self.assertGreater(reply[0][1][0][2], reply[0][1][1][2])  # The longest idle first.
        self.assertEqual(self.pending("s", "g"), {"1": ("a", 1), "2": ("b", 8), "3": ("b", 6)})
        reply = self.ask("XREADGROUP GROUP g b CLAIM 3600000 NOACK STREAMS s >")
        self.assertEqual(reply, [[b"s", [[b"4-0", [b"f", b"v4"], 0, 0]]]])
        self.assertEqual(sorted(self.pending("s", "g")), ["1", "2", "3"])
        # A deleted one is not handed out, and stays; a history pays no attention to CLAIM.
        self.ask("XDEL s 1-0")
        self.assertEqual([entry[0] for entry in self.ask("XREADGROUP GROUP g c CLAIM 0 STREAMS s >")[0][1]], [b"2-0", b"3-0"])
        self.assertEqual(self.pending("s", "g")["1"], ("a", 1))
        self.assertEqual(self.ask("XREADGROUP GROUP g a CLAIM 0 STREAMS s 0"), [[b"s", [[b"1-0", None]]]])
        self.assertIsNone(self.ask("XREADGROUP GROUP g c CLAIM 3600000 STREAMS s >"))
        before = self.pending("s", "g")
        self.kill_and_start()
        self.assertEqual(self.pending("s", "g"), before)

    def test_a_blocked_claim_hears_of_idle_entries_new_ones_and_of_what_is_given_back(self):
        self.fill("s", 2)
        self.ask("XGROUP CREATE s g 0")
        self.read("g", "a", "s")
        waiting = self.connect()
        waiting.send("XREADGROUP GROUP g b CLAIM 100 BLOCK 0 COUNT 2 STREAMS s >".split())
        self.assertEqual([[entry[0], entry[3]] for entry in waiting.read()[0][1]], [[b"1-0", 1], [b"2-0", 1]])
        waiting.send("XREADGROUP GROUP g c CLAIM 3600000 BLOCK 0 STREAMS s >".split())
        self.wait_for_blocked(1)
        self.fill("s", 1, first=3)
        self.assertEqual(waiting.read(), [[b"s", [[b"3-0", [b"f", b"v3"], 0, 0]]]])
        waiting.send("XREADGROUP GROUP g c CLAIM 3600000 BLOCK 0 STREAMS s >".split())
        self.wait_for_blocked(1)
        self.assertEqual(self.ask("XNACK s g FAIL IDS 1 2-0"), 1)
        reply = waiting.read()
        self.assertEqual([reply[0][1][0][0], reply[0][1][0][3]], [b"2-0", 2])
        # What is given back and not there any more wakes nobody for ever.
        self.ask("XDEL s 1-0")
        waiting.send("XREADGROUP GROUP g c CLAIM 3600000 BLOCK 0 STREAMS s >".split())
        self.wait_for_blocked(1)
        self.assertEqual(self.ask("XNACK s g FAIL IDS 1 1-0"), 1)
        self.fill("s", 1, first=4)
        self.assertEqual(waiting.read(), [[b"s", [[b"4-0", [b"f", b"v4"], 0, 0]]]])
        self.assertIsNone(self.ask("XREADGROUP GROUP g c CLAIM 3600000 BLOCK 1 STREAMS s >"))

    def wait_for_blocked(self, count):
        while b"blocked_clients:%d\r\n" % count not in self.ask("INFO clients"):
            pass

    def test_wrong_arguments_of_claim(self):
        self.fill("s", 1)
        self.ask("XGROUP CREATE s g 0")
        self.refuses("XREADGROUP GROUP g a CLAIM x STREAMS s >", "ERR min-idle-time is not an integer or out of range")
        self.refuses("XREADGROUP GROUP g a CLAIM -1 STREAMS s >", "ERR min-idle-time must be a positive integer")
        self.refuses("XREAD CLAIM 1 STREAMS s 0", "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.")
        self.refuses("XREADGROUP GROUP nobody a CLAIM 1 STREAMS s >",
                     "NOGROUP No such key 's' or consumer group 'nobody' in XREADGROUP with GROUP option")
        self.assertEqual(self.ask("XREADGROUP GROUP g a CLAIM 9223372036854775807 STREAMS s >"), [[b"s", [[b"1-0", [b"f", b"v1"], 0, 0]]]])

    # --- XNACK.

    def test_giving_back(self):
        self.fill("s", 6)
        self.ask("XGROUP CREATE s g 0")
        self.read("g", "a", "s", 5)
        self.assertEqual(self.ask("XNACK s g SILENT IDS 2 1-0 6-0"), 1)
        self.assertEqual(self.ask("XNACK s g FAIL IDS 1 2-0"), 1)
        self.assertEqual(self.ask("XNACK s g FATAL IDS 1 3-0"), 1)
        self.assertEqual(self.ask("XNACK s g FAIL IDS 1 4-0 RETRYCOUNT 9"), 1)
        self.assertEqual(self.ask("XNACK s g SILENT IDS 2 6-0 7-0 FORCE"), 1)  # The one that is in the stream.
        self.assertEqual(self.ask("XNACK s g SILENT IDS 1 6-0"), 1)  # Still pending, and nothing is below zero.
        expected = {"1": ("", 0), "2": ("", 1), "3": ("", 2**63 - 1), "4": ("", 9), "5": ("a", 1), "6": ("", 0)}
        self.assertEqual(self.pending("s", "g"), expected)
        self.kill_and_start()
        self.assertEqual(self.pending("s", "g"), expected)
        self.assertEqual(self.ask("XPENDING s g"), [6, b"1-0", b"6-0", [[b"a", b"1"]]])
        self.assertEqual([row[2] for row in self.ask("XPENDING s g IDLE 3600000 - + 10")], [-1] * 5)  # Idle for ever.
        self.assertEqual(self.ask("XINFO GROUPS s")[0][5], 6)
        # They are nobody's history, and not new; whoever claims gets them, in the order in which they were given back.
        self.assertEqual([entry[0] for entry in self.ask("XREADGROUP GROUP g a STREAMS s 0")[0][1]], [b"5-0"])
        self.ask("XGROUP SETID s g 6-0")
        self.assertIsNone(self.read("g", "a", "s"))
        self.assertEqual(self.ask("XACK s g 4-0"), 1)
        reply = self.ask("XREADGROUP GROUP g b COUNT 2 CLAIM 3600000 STREAMS s >")
        self.assertEqual([[entry[0], entry[3]] for entry in reply[0][1]], [[b"1-0", 0], [b"2-0", 1]])
        self.assertEqual(self.ask("XCLAIM s g b 3600000 3-0 JUSTID"), [b"3-0"])
        self.assertEqual(self.ask("XAUTOCLAIM s g b 3600000 0 JUSTID"), [b"0-0", [b"6-0"], []])
        self.assertEqual({owner for owner, _ in self.pending("s", "g").values()}, {"a", "b"})

    def test_giving_back_where_the_group_redelivers(self):
        self.fill("s", 2)
        self.ask("XGROUP CREATE s g 0")
        self.broker.cli("group", "alter", "g", "--topic", "s", "ack.timeout=1h", "delivery.limit=2", "backoff=none", "dead.letter.topic=dead")
        self.read("g", "a", "s")
        self.assertEqual(self.ask("XNACK s g FATAL IDS 1 1-0"), 1)  # Dead at once.
        self.assertEqual(self.ask("XNACK s g FAIL IDS 1 2-0"), 1)
        self.assertEqual(self.ask("XREADGROUP GROUP g b BLOCK 60000 STREAMS s >")[0][1], [[b"2-0", [b"f", b"v2"]]])
        self.assertIn(b"v1", self.ask("XREAD BLOCK 60000 STREAMS dead 0")[0][1][0][1])

    def test_wrong_arguments_of_xnack(self):
        none = "NOGROUP No such key 's' or consumer group 'g'"
        self.refuses("XNACK s g NO IDS 1 1-0", none)
        self.fill("s", 1)
        self.refuses("XNACK s g NO IDS 1 1-0", none)
        self.ask("XGROUP CREATE s g 0")
        self.refuses("XNACK s g MAYBE IDS 1 1-0", "ERR mode must be SILENT, FAIL, or FATAL")
        self.refuses("XNACK s g FAIL ID 1 1-0", "ERR syntax error, expected IDS keyword")
        self.refuses("XNACK s g FAIL IDS 0 1-0", "ERR numids must be a positive integer")
        self.refuses("XNACK s g FAIL IDS x 1-0", "ERR numids must be a positive integer")
        self.refuses("XNACK s g FAIL IDS 3 1-0", "ERR number of IDs doesn't match numids")
        self.refuses("XNACK s g FAIL IDS 1 1-0 RETRYCOUNT -1", "ERR Invalid RETRYCOUNT value, must be >= 0")
        self.refuses("XNACK s g FAIL IDS 1 1-0 BOGUS", "ERR Unrecognized XNACK option 'BOGUS'")
        self.refuses("XNACK s g FAIL IDS 1 nonsense", INVALID_ID)
        self.refuses("XNACK s g FAIL IDS 1", "ERR wrong number of arguments for 'xnack' command")

    # --- IDMP.

    def test_adding_once(self):
        first = self.ask("XADD s IDMP p i1 * f v1")
        second = self.ask("XADD s IDMP p i2 MAXLEN 100 * f v2")
        self.assertEqual(self.ask("XADD s IDMP p i1 * f other"), first)
        self.assertEqual(self.ask("XADD s MAXLEN 1 IDMP p i2 * f other"), second)  # Nothing is trimmed either.
        other = self.ask("XADD s IDMP q i1 * f v1")  # Another producer's.
        self.assertNotIn(other, (first, second))
        auto = self.ask("XADD s IDMPAUTO p * a 1 b 2")
        self.assertEqual(self.ask("XADD s IDMPAUTO p * b 2 a 1"), auto)
        self.assertNotEqual(self.ask("XADD s IDMPAUTO p * a 12 b", ""), auto)
        self.assertNotEqual(self.ask("XADD s IDMPAUTO q * a 1 b 2"), auto)
        self.assertEqual(self.ask("XLEN s"), 6)
        self.assertEqual(self.ask("XRANGE s - + COUNT 1"), [[first, [b"f", b"v1"]]])
        self.assertIsNone(self.ask("XADD none NOMKSTREAM IDMP p i * f v"))
        # A deleted entry is known still; a crash takes none of it back.
        self.ask("XDEL s", second)
        self.kill_and_start()
        for line, id in (("IDMP p i1", first), ("IDMP p i2", second), ("IDMP q i1", other)):
            self.assertEqual(self.ask(f"XADD s {line} * f again"), id)
        self.assertEqual(self.ask("XADD s IDMPAUTO p * b 2 a 1"), auto)
        self.assertEqual(self.ask("XLEN s"), 5)

    def test_a_pipeline_adds_once(self):
        self.client.send(*[f"XADD s IDMP p i{n % 10} * n {n}".split() for n in range(1000)])
        ids = [self.client.read() for _ in range(1000)]
        self.assertEqual(ids, ids[:10] * 100)
        self.assertEqual(self.ask("XLEN s"), 10)

    def test_the_window_of_adding_once(self):
        self.refuses("XCFGSET s IDMP-MAXSIZE 2", "ERR no such key")
        first = self.ask("XADD s IDMP p i1 * f v")
        self.assertEqual(self.ask("XCFGSET s IDMP-MAXSIZE 100 IDMP-DURATION 100"), b"OK")  # As it is: nothing is forgotten.
        self.assertEqual(self.ask("XADD s IDMP p i1 * f v"), first)
        self.assertEqual(self.ask("XCFGSET s IDMP-MAXSIZE 2"), b"OK")
        second = self.ask("XADD s IDMP p i1 * f v")
        self.assertNotEqual(second, first)
        self.kill_and_start()
        self.assertEqual(self.ask("XADD s IDMP p i1 * f v"), second)
        self.ask("XADD s IDMP p i2 * f v")
        third = self.ask("XADD s IDMP p i3 * f v")  # The first of three is one too many.
        self.assertEqual(self.ask("XADD s IDMP p i3 * f v"), third)
        self.assertNotEqual(self.ask("XADD s IDMP p i1 * f v"), second)
        self.assertEqual(self.ask("XLEN s"), 5)

    def test_wrong_arguments_of_idmp(self):
        syntax = "ERR syntax error, "
        self.refuses("XADD s IDMP p i IDMPAUTO q * f v", syntax + "IDMP/IDMPAUTO specified multiple times")
        self.refuses("XADD s IDMP p i IDMP p j * f v", syntax + "IDMP/IDMPAUTO specified multiple times")
        self.refuses("XADD s IDMPAUTO", syntax + "IDMPAUTO requires a non-empty producer ID", "", "*", "f", "v")
        self.refuses("XADD s IDMP", syntax + "IDMP requires a non-empty producer ID", "", "i", "*", "f", "v")
        self.refuses("XADD s IDMP p", syntax + "IDMP requires a non-empty idempotent ID", "", "*", "f", "v")
        self.refuses("XADD s IDMP p i 1-1 f v", syntax + "IDMP/IDMPAUTO can be used only with auto-generated IDs")
        self.refuses("XADD s IDMP p i 1-* f v", syntax + "IDMP/IDMPAUTO can be used only with auto-generated IDs")
        self.refuses("XADD s IDMP p i nonsense f v", INVALID_ID)
        self.assertEqual(self.ask("EXISTS s"), 0)
        self.ask("XADD s 1-1 f v")
        self.refuses("XCFGSET s", "ERR At least one parameter must be specified")
        self.refuses("XCFGSET s IDMP-DURATION", "ERR syntax error")
        self.refuses("XCFGSET s BOGUS 1", "ERR syntax error")
        self.refuses("XCFGSET s IDMP-DURATION x", "ERR value is not an integer or out of range")
        self.refuses("XCFGSET s IDMP-DURATION 0", "ERR IDMP-DURATION must be between 1 and 86400 seconds")
        self.refuses("XCFGSET s IDMP-DURATION 86401", "ERR IDMP-DURATION must be between 1 and 86400 seconds")
        self.refuses("XCFGSET s IDMP-MAXSIZE 0", "ERR IDMP-MAXSIZE must be between 1 and 10000 entries")
        self.refuses("XCFGSET s IDMP-MAXSIZE 10001", "ERR IDMP-MAXSIZE must be between 1 and 10000 entries")
        self.refuses("XCFGSET s IDMP-DURATION 5 IDMP-DURATION 6", "ERR IDMP-DURATION specified multiple times")
        self.refuses("XCFGSET s IDMP-MAXSIZE 5 IDMP-MAXSIZE 6", "ERR IDMP-MAXSIZE specified multiple times")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
