#!/usr/bin/env python3
"""Applies the rules of rules.py to the tree, and to planted violations and look-alikes: a rule that finds nothing must prove that it
could. Run by ctest, one entry per class; by hand: tests/tree/tree_test.py [CLASS]."""
import os
import pathlib
import subprocess
import sys
import unittest

import rules

TOP = pathlib.Path(__file__).resolve().parents[2]
NOT_SOURCE = {".git", "build", "tidemark-data", "node_modules", "__pycache__", ".cache"}


def tree_files():
    for folder, folders, names in os.walk(TOP):
        folders[:] = sorted(set(folders) - NOT_SOURCE)
        for name in sorted(set(names) - NOT_SOURCE):
            yield (pathlib.Path(folder) / name).relative_to(TOP).as_posix()


def text_of(path):
    """Contents of a text file; empty for binary ones (golden data)."""
    data = (TOP / path).read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


class Rule:
    """`rule` holds for every file of the tree; it finds each of `planted` and none of `innocent`, pairs of path and text."""

    rule = None
    planted = []
    innocent = []

    def test_tree_is_clean(self):
        found = [f"{path}:{line}: {why}" for path in tree_files() for line, why in type(self).rule(path, text_of(path))]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_finds_each_planted_violation(self):
        for path, text in self.planted:
            with self.subTest(path=path, text=text):
                self.assertTrue(type(self).rule(path, text), "not found")

    def test_leaves_look_alikes_alone(self):
        for path, text in self.innocent:
            with self.subTest(path=path, text=text):
                self.assertEqual(type(self).rule(path, text), [])


class LayerEdges(Rule, unittest.TestCase):
    rule = rules.forbidden_includes
    planted = [
        ("storage/base/a.h", '#include "storage/batch/record_batch.h"'),
        ("storage/base/a.h", '#include "storage/log.h"'),
        ("storage/batch/a.cc", '#include "storage/log.h"'),
        ("storage/a.cc", '#include "broker/broker.h"'),
        ("storage/a.cc", "#include <broker/broker.h>"),
        ("broker/a.cc", '#include "protocol/native/codec/frame.h"'),
        ("broker/a.cc", '#  include "protocol/native/wire.pb.h"'),
        ("protocol/native/codec/a.cc", '#include "broker/topic.h"'),
        ("protocol/native/codec/a.cc", '#include "storage/log.h"'),
        ("protocol/native/codec/a.cc", '#include "protocol/native/adapter/server.h"'),
        ("protocol/kafka/adapter/a.cc", '#include "protocol/native/codec/frame.h"'),
        ("protocol/native/adapter/a.cc", '#include "tools/tidemarkd/config.h"'),
        ("protocol/net/a.cc", '#include "protocol/native/codec/frame.h"'),
        ("protocol/http/a.cc", '#include "client/src/connection.h"'),
        ("client/src/a.cc", '#include "broker/topic.h"'),
        ("client/src/a.cc", '#include "storage/file_system.h"'),
        ("client/src/a.cc", '#include "protocol/native/adapter/session.h"'),
        ("client/include/tidemark/a.h", '#include "protocol/native/wire.pb.h"'),
        ("client/include/tidemark/a.h", "#include <google/protobuf/message.h>"),
        ("tools/tidemark/a.cc", '#include "tests/simulation/disk.h"'),
        ("examples/a.cc", '#include "storage/log.h"'),
        ("broker/a.cc", '#include "topic.h"'),
        ("broker/a.cc", "#include <spdlog/spdlog.h>"),
        ("broker/broker.cc", "#include <boost/asio/steady_timer.hpp>"),
        ("protocol/http/a.h", "#include <boost/beast/http.hpp>"),
        ("broker/a.cc", "#include <CLI/CLI.hpp>"),
    ]
    innocent = [
        ("storage/a.cc", '#include "storage/base/result.h"\n#include "storage/batch/varint.h"\n#include <vector>'),
        ("storage/a.cc", '// #include "broker/broker.h"'),
        ("broker/thread_runtime.cc", "#include <boost/asio/io_context.hpp>"),
        ("protocol/native/codec/a.cc", '#include "protocol/native/wire.pb.h"\n#include "storage/batch/record_batch.h"'),
        ("protocol/native/adapter/a.cc", '#include "broker/broker.h"\n#include "protocol/native/codec/frame.h"'),
        ("protocol/kafka/adapter/a.cc", '#include "protocol/net/listener.h"\n#include <boost/asio/steady_timer.hpp>'),
        ("client/src/a.cc", '#include "tidemark/client.h"\n#include "protocol/native/codec/frame.h"'),
        ("protocol/http/a.cc", "#include <boost/beast/http.hpp>"),
        ("tests/a.cc", '#include "broker/broker.h"\n#include "client/src/connection.h"'),
    ]


class Seams(Rule, unittest.TestCase):
    rule = rules.calls_outside_seams
    planted = [
        ("storage/log.cc", "int f = ::open(path, 0);"),
        ("storage/log.cc", "fdatasync(fd);"),
        ("storage/log.cc", "if (::pwrite(fd, p, n, at) < 0) return;"),
        ("storage/log.cc", "auto x = std::filesystem::path(p);"),
        ("storage/log.cc", "std::ifstream in(path);"),
        ("storage/log.cc", "#include <unistd.h>"),
        ("storage/file_system.cc", "#include <fstream>"),
        ("broker/broker.cc", "std::thread worker(run);"),
        ("broker/broker.cc", "#include <thread>"),
        ("broker/broker.cc", "std::this_thread::sleep_for(1s);"),
        ("broker/broker.cc", "boost::asio::steady_timer timer(context);"),
        ("broker/broker.cc", "std::condition_variable wake;"),
        ("broker/broker.cc", "const auto t = std::chrono::steady_clock::now();"),
        ("storage/log.cc", "const auto t = std::chrono::system_clock::now();"),
        ("broker/broker.cc", "boost::asio::ip::tcp::socket socket(context);"),
        ("protocol/native/codec/frame.cc", "::send(fd, p, n, 0);"),
        ("client/include/tidemark/client.h", "#include <sys/socket.h>"),
    ]
    innocent = [
        ("storage/posix_file_system.cc", "#include <unistd.h>\nint f = ::open(path, 0);"),
        ("broker/thread_runtime.cc", "std::thread worker(run);"),
        ("protocol/native/adapter/server.cc", "boost::asio::ip::tcp::acceptor acceptor(context);"),
        ("client/src/connection.cc", "boost::asio::steady_timer timer(context);"),
        ("storage/base/clock.h", "std::chrono::steady_clock::now()"),
        ("storage/log.cc", "auto file = files_.open(path, OpenMode::read);\nfile->truncate(0);\nStatus Log::open() {}"),
        ("storage/log.cc", '// fsync(fd) is final\nlog_info("fsync() took long");'),
        ("broker/broker.cc", "std::chrono::steady_clock::time_point deadline = clock.steady();"),
        ("broker/broker.cc", "reply->send(done); shard.read(x); Result<int> accept(int);"),
        ("tests/storage/log_test.cc", "::open(path, 0);"),
    ]


class Coroutines(Rule, unittest.TestCase):
    rule = rules.coroutine_traps
    planted = [
        ("client/src/a.cc", "awaitable<void> f() {\n  co_await send({.topic = t});\n}"),
        ("client/src/a.cc", "awaitable<void> f() { auto r = co_await send(Options{}); }"),
        ("client/src/a.cc", "awaitable<void> f() { const int n = ok ? co_await a() : co_await b(); }"),
        ("client/src/a.cc", "awaitable<void> f() { co_await send(c ? a : b); }"),
        ("client/src/a.cc", "awaitable<void> f() { switch (co_await n()) { case 1: break; } }"),
        ("client/src/a.cc", "awaitable<void> f() { co_await run([s] { return s; }); }"),
        ("client/src/a.cc", "awaitable<void> f() { use((co_await v()).x + apply([s] { return s; })); }"),
        ("client/src/a.cc", "awaitable<void> f() { use(apply([s]() mutable -> int { return s; }) + co_await v()); }"),
        ("client/src/a.cc", "awaitable<void> f() { co_await run([this] { g(); }, use_awaitable); }"),
        ("client/src/a.cc", "awaitable<void> f() { if (x) { y(); }\n std::vector<int> v{co_await a(), co_await b()}; }"),
        ("client/src/a.cc", "awaitable<void> f() { Options o{.a = co_await x()}; }"),
        ("client/src/a.cc", "awaitable<void> f() { while (co_await g(T{1})) { y(); } }"),
        ("client/src/a.cc", "boost::asio::co_spawn(executor, f(), boost::asio::detached);"),
        ("client/src/a.cc", "spawn(ex, \"x\", [] () -> awaitable<void> { co_await g(Options{}); });"),
    ]
    innocent = [
        ("client/src/a.cc", "awaitable<void> f() {\n  Options o{.a = 1};\n  co_await send(std::move(o));\n}"),
        ("client/src/a.cc", "awaitable<void> f() { if (auto r = co_await g(); !r) { co_return; } }"),
        ("client/src/a.cc", "awaitable<void> f() { for (;;) { while (const auto r = co_await g()) { h(r); } } }"),
        ("client/src/a.cc", "awaitable<int> f() { const auto [error, n] = co_await s.read(as_tuple(use_awaitable)); co_return n; }"),
        ("client/src/a.cc", 'awaitable<void> f() { co_await g("{}?");  // {braces} ? in : a comment\n}'),
        ("client/src/a.cc", "awaitable<void> f() { co_await g([] { return 1; }); }"),
        ("client/src/a.cc", "awaitable<void> f() { const int n = a ? 1 : 2; co_await g(n); }"),
        ("client/src/a.cc", "awaitable<void> f() { auto make = [s] { return s; }; co_await g(make); }"),
        ("client/src/a.cc", "struct S {\n  int a{0};\n  awaitable<void> f() const { co_await g(a); }\n};"),
        ("client/src/a.cc", "awaitable<void> f() { try { co_await g(); } catch (const E& e) { log(e); } }"),
        ("client/src/a.cc", "auto f = [](int n) -> awaitable<void> { co_await g(n); };"),
        ("client/src/a.cc", "awaitable<void> f() { x[co_await n()] = 1; co_await g(x[2], y[3]); }"),
        ("client/src/a.cc", "awaitable<void> f() { switch (kind) { case 1: co_await g(); break; default: co_await h(); } }"),
    ]


class WeakTests(Rule, unittest.TestCase):
    rule = rules.weak_tests
    skip = "GTEST_" + "SKIP"
    planted = [
        ("tests/a_test.cc", f'{skip}() << "no disk";'),
        ("tests/a_test.cc", f"#define WHEN_LUCKY {skip}()"),
        ("tests/a_test.cc", f"#define TIDEMARK_SKIP_A(x) \\\n  {skip}()\nvoid f() {{ {skip}(); }}"),
        ("tests/a_test.cc", "TEST(Log, DISABLED_appends) {}"),
        ("tests/a_test.cc", "std::this_thread::sleep_for(1ms);"),
        ("tests/a_test.cc", "EXPECT_TRUE(true);"),
    ]
    innocent = [
        ("tests/skip.h", f"#define TIDEMARK_SKIP_WITHOUT(what) \\\n  {skip}() << what"),
        ("tests/a_test.cc", "EXPECT_TRUE(log.open());  // sleep_for would be wrong here"),
    ]


class MachinePaths(Rule, unittest.TestCase):
    rule = rules.machine_paths
    planted = [
        ("docs/A.md", "see /" + "home/somebody/tidemark"),
        ("tools/a", "cd /" + "root/src"),
        ("tests/a_test.cc", 'open("/' + 'work/data");'),
    ]
    innocent = [
        ("docs/A.md", "/var/lib/tidemark, build/release/bin, https://example.org/home/page, $PWD/work/x, ./work/x"),
    ]


class Promises(Rule, unittest.TestCase):
    rule = rules.promises
    planted = [("a.cc", "// TO" + "DO: later"), ("README.md", "FIX" + "ME")]
    innocent = [("a.cc", "// to do this, mastodon")]


class FileLength(Rule, unittest.TestCase):
    rule = rules.too_long
    planted = [("storage/a.cc", "x\n" * 801)]
    innocent = [("storage/a.cc", "x\n" * 800), ("docs/A.md", "x\n" * 2000)]


class Formatting(unittest.TestCase):
    """Sources are as clang-format writes them. Another major version formats differently, so the packaged one is meant."""

    def check(self, arguments, **options):
        return subprocess.run(["clang-format", "--dry-run", "-Werror", *arguments], cwd=TOP, capture_output=True, text=True, **options)

    def test_tree_is_formatted(self):
        sources = [path for path in tree_files() if rules.is_cpp(path)]
        checked = self.check(sources)
        self.assertEqual(checked.returncode, 0, checked.stderr[:5000])

    def test_finds_unformatted_text(self):
        self.assertNotEqual(self.check(["--assume-filename=a.cc"], input="int   x ;\n").returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
