#!/usr/bin/env python3
"""Debian's python3-redis against a real broker. Usage: redis_python_test.py BIN_DIR [TEST...]"""

import pathlib
import sys
import threading
import unittest

import redis

from broker_process import Broker

BIN = pathlib.Path()  # Set by main.


class RedisPython(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, redis="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.client = self.connect()

    def connect(self):
        client = redis.Redis(port=self.broker.redis_port, decode_responses=True)
        self.addCleanup(client.close)
        return client

    def test_streams(self):
        first = self.client.xadd("s", {"a": "1"})
        second = self.client.xadd("s", {"b": "2"}, maxlen=1000)
        self.assertEqual(self.client.xrange("s"), [(first, {"a": "1"}), (second, {"b": "2"})])
        self.assertEqual(self.client.xread({"s": first}), [["s", [(second, {"b": "2"})]]])
        self.assertEqual(self.client.xlen("s"), 2)
        self.assertEqual(self.client.xdel("s", first), 1)
        info = self.client.xinfo_stream("s")
        self.assertEqual((info["length"], info["first-entry"][0], info["max-deleted-entry-id"]), (1, second, first))
        self.assertEqual(self.client.xtrim("s", maxlen=0, approximate=False), 1)
        self.assertEqual(self.client.xrevrange("s"), [])

    def test_a_pipeline_of_a_thousand(self):
        pipeline = self.client.pipeline(transaction=False)
        for n in range(1000):
            pipeline.xadd("s", {"n": n}, id=f"{n + 1}-0")
        pipeline.xlen("s")
        self.assertEqual(pipeline.execute(), [f"{n + 1}-0" for n in range(1000)] + [1000])

    def test_transactions(self):
        with self.client.pipeline(transaction=True) as block:
            block.watch("s")
            block.multi()
            block.xadd("s", {"a": "1"}, id="1-1")
            block.xlen("s")
            self.assertEqual(block.execute(), ["1-1", 1])
        with self.client.pipeline(transaction=True) as block:
            block.watch("s")
            self.connect().xadd("s", {"a": "2"})
            block.multi()
            block.xadd("s", {"a": "3"})
            self.assertRaises(redis.WatchError, block.execute)
        self.assertEqual(self.client.xlen("s"), 2)

    def test_a_blocked_reader_is_woken(self):
        heard = []
        other = self.connect()
        reader = threading.Thread(target=lambda: heard.append(other.xread({"s": "$"}, block=0)))
        reader.start()
        while self.client.info("clients")["blocked_clients"] == 0:
            pass
        id = self.client.xadd("s", {"a": "1"})
        reader.join(60)
        self.assertEqual(heard, [[["s", [(id, {"a": "1"})]]]])

    def test_publish_and_subscribe(self):
        listener = self.connect().pubsub()
        self.addCleanup(listener.close)
        listener.subscribe("news")
        self.assertEqual(listener.get_message(timeout=60)["type"], "subscribe")
        self.assertEqual(self.client.publish("news", "hello"), 1)
        self.assertEqual(listener.get_message(timeout=60)["data"], "hello")

    def test_it_connects_again_after_a_restart(self):
        self.client.xadd("s", {"a": "1"}, id="5-5")
        port = self.broker.redis_port
        self.assertEqual(self.broker.stop(), 0)
        self.broker.redis_listen = f"127.0.0.1:{port}"
        self.broker.start()
        self.assertEqual(self.client.xrange("s"), [("5-5", {"a": "1"})])

    def test_keys_expire_and_go(self):
        self.client.xadd("s", {"a": "1"})
        self.assertTrue(self.client.expire("s", 1000))
        self.assertGreater(self.client.ttl("s"), 900)
        self.assertTrue(self.client.persist("s"))
        self.assertEqual(self.client.ttl("s"), -1)
        self.client.rename("s", "t")
        self.assertEqual(list(self.client.scan_iter()), ["t"])
        self.assertTrue(self.client.pexpire("t", 1))
        while self.client.exists("t"):
            pass
        self.assertEqual(self.client.dbsize(), 0)

    def test_other_data_types_say_what_is_wrong(self):
        with self.assertRaisesRegex(redis.ResponseError, "Tidemark serves streams"):
            self.client.set("k", "v")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
