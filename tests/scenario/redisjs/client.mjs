// What ioredis and node-redis do against a broker. Usage: node client.mjs PORT LIBRARY SCENARIO; exit 0 when all went as it should.
import assert from "node:assert/strict";
import Redis from "ioredis";
import { createClient } from "redis";

const [port, library, scenario] = process.argv.slice(2);

// Both libraries behind the few calls that the scenarios need.
async function connectIoredis() {
  const client = new Redis({ port: Number(port), host: "127.0.0.1" });
  return {
    send: (...words) => client.call(...words),
    pipeline: async (commands) => {
      const pipeline = client.pipeline();
      for (const words of commands) pipeline.call(...words);
      return (await pipeline.exec()).map(([error, reply]) => error ?? reply);
    },
    transaction: async (commands) => {
      const block = client.multi();
      for (const words of commands) block.call(...words);
      return (await block.exec()).map(([error, reply]) => error ?? reply);
    },
    subscribe: async (channel, hear) => {
      client.on("message", (_, message) => hear(message));
      await client.subscribe(channel);
    },
    close: () => client.quit(),
  };
}

async function connectNodeRedis(RESP) {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP });
  client.on("error", (error) => console.error(error));
  await client.connect();
  return {
    send: (...words) => client.sendCommand(words.map(String)),
    pipeline: (commands) => Promise.all(commands.map((words) => client.sendCommand(words.map(String)))),
    transaction: async (commands) => {
      const block = client.multi();
      for (const words of commands) block.addCommand(words.map(String));
      return block.exec();
    },
    subscribe: (channel, hear) => client.subscribe(channel, hear),
    close: () => client.close(),
  };
}

const connectors = { ioredis: connectIoredis, "redis-resp2": () => connectNodeRedis(2), "redis-resp3": () => connectNodeRedis(3) };
const connect = connectors[library];

async function streams() {
  const client = await connect();
  assert.equal(await client.send("XADD", "s", "1-1", "a", "1"), "1-1");
  assert.equal(await client.send("XADD", "s", "2-1", "b", "2"), "2-1");
  assert.deepEqual(await client.send("XRANGE", "s", "-", "+"), [["1-1", ["a", "1"]], ["2-1", ["b", "2"]]]);
  assert.equal(await client.send("XLEN", "s"), 2);
  assert.equal(await client.send("XDEL", "s", "1-1"), 1);
  await assert.rejects(client.send("XADD", "s", "1-1", "a", "1"), /equal or smaller than the target stream top item/);
  await client.close();
}

async function pipelines() {
  const client = await connect();
  const commands = Array.from({ length: 1000 }, (_, n) => ["XADD", "s", `${n + 1}-0`, "n", n]);
  assert.deepEqual(await client.pipeline(commands), commands.map((words) => words[2]));
  assert.deepEqual(await client.transaction([["XADD", "s", "2000-0", "n", "x"], ["XLEN", "s"]]), ["2000-0", 1001]);
  await client.close();
}

async function blocking() {
  const [reader, writer] = [await connect(), await connect()];
  const heard = reader.send("XREAD", "BLOCK", "0", "STREAMS", "s", "$");
  while (!String(await writer.send("INFO", "clients")).includes("blocked_clients:1"));
  await writer.send("XADD", "s", "5-5", "a", "1");
  const reply = await heard;
  const entries = Array.isArray(reply) ? (Array.isArray(reply[0]) ? reply[0][1] : reply[1]) : Object.values(reply)[0];
  assert.deepEqual(entries, [["5-5", ["a", "1"]]]);
  await Promise.all([reader.close(), writer.close()]);
}

async function pubsub() {
  const [listener, publisher] = [await connect(), await connect()];
  let hear;
  const heard = new Promise((resolve) => (hear = resolve));
  await listener.subscribe("news", hear);
  assert.equal(await publisher.send("PUBLISH", "news", "hello"), 1);
  assert.equal(await heard, "hello");
  await Promise.all([listener.close(), publisher.close()]);
}

await { streams, pipelines, blocking, pubsub }[scenario]();
