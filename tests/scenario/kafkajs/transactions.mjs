// What kafkajs does with transactions. Topics: `orders` and `invoices`, two partitions each, and `in` with one.
// One scenario lets whoever started this program kill the broker and start it again: see restartBroker().
import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Collector, consume, createTopic, kafka, produce, text, withAdmin } from "./harness.mjs";

const TOPICS = ["orders", "invoices"];

async function transactionalProducer(transactionalId) {
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  return producer;
}

const createTopics = async () => {
  for (const topic of TOPICS) await createTopic(topic, 2);
};

// One record to each of the four partitions. What they are called says to which transaction they belong.
const valuesOf = (name) => TOPICS.flatMap((topic) => [0, 1].map((partition) => `${topic}-${partition}-${name}`));
const sendAll = (transaction, name) => transaction.sendBatch({
  topicMessages: TOPICS.map((topic) => ({
    topic,
    messages: [0, 1].map((partition) => ({ partition, key: name, value: `${topic}-${partition}-${name}` })),
  })),
});

const commit = async (producer, name) => {
  const transaction = await producer.transaction();
  await sendAll(transaction, name);
  await transaction.commit();
};

// A reader of both topics that hands what it sees to `collector`. Short fetches, so that fetchedNow() need not wait for long.
const reader = (groupId, collector, readUncommitted) =>
  consume(groupId, TOPICS, (message) => collector.add(text(message.value)), { readUncommitted, maxWaitTimeInMs: 100 });

// Kept when a fetch that began after this call has been answered and all that it brought was handed out: the next one begins only then.
const fetchedNow = (consumer) => new Promise((resolve) => {
  let begun = 0;
  const remove = consumer.on(consumer.events.FETCH_START, () => {
    begun += 1;
    if (begun < 2) return;
    remove();
    resolve();
  });
});

// All values of both topics, up to those of a transaction that is committed last.
async function readCommitted(producer, groupId) {
  await commit(producer, "last");
  const collector = new Collector();
  const consumer = await reader(groupId, collector, false);
  await collector.all(valuesOf("last"));
  await consumer.disconnect();
  return collector.values.filter((value) => !value.endsWith("-last")).sort();
}

const expected = (...names) => names.flatMap(valuesOf).sort();

// The parent process reads "kill", does so, starts the broker again at the same address and answers with a line.
async function restartBroker() {
  const parent = createInterface({ input: process.stdin }); // Closed again each time: an open one keeps the program from ending.
  console.log("kill");
  const [line] = await once(parent, "line");
  parent.close();
  assert.equal(line, "started");
}

const fenced = (error) => error.type === "INVALID_PRODUCER_EPOCH"; // The versions that kafkajs speaks know no newer code for it.

export const transactions = {
  // Over two topics: nothing is seen before the commit, nothing is ever seen of what was aborted.
  async transactions() {
    await createTopics();
    const producer = await transactionalProducer("tx");
    const [committed, all] = [new Collector(), new Collector()];
    const readers = [await reader("committed", committed, false), await reader("all", all, true)];
    for (const [name, end] of [["a1", "abort"], ["c1", "commit"], ["a2", "abort"], ["a3", "abort"], ["c2", "commit"]]) {
      const before = [...committed.values];
      const transaction = await producer.transaction();
      await sendAll(transaction, name);
      await all.all(valuesOf(name)); // An uncommitted reader has it: so it is there to be seen.
      await fetchedNow(readers[0]);
      assert.deepEqual(committed.values, before);
      await transaction[end]();
      await assert.rejects(transaction.send({ topic: "orders", messages: [{ value: "too late" }] }), /once ended/);
      if (end === "commit") await committed.all(valuesOf(name));
    }
    await fetchedNow(readers[0]);
    assert.deepEqual([...committed.values].sort(), expected("c1", "c2"));
    assert.deepEqual([...all.values].sort(), expected("a1", "c1", "a2", "a3", "c2"));
    for (const consumer of readers) await consumer.disconnect();
    await producer.disconnect();
  },

  // What a group has read moves on with the transaction that was made of it, or not at all.
  async offsets() {
    await createTopics();
    await createTopic("in", 1);
    await produce("in", Array.from({ length: 10 }, (_, i) => ({ value: String(i) })));
    const position = () => withAdmin(async (admin) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: "worker", topics: ["in"] });
      return partitions[0].offset;
    });
    const producer = await transactionalProducer("tx");
    const work = async (end, name, offset) => {
      const seen = new Collector();
      const consumer = await consume("worker", "in", (message) => seen.add(text(message.value)), { maxWaitTimeInMs: 100 }, { autoCommit: false });
      await seen.all(["9"]);
      const transaction = await producer.transaction();
      await sendAll(transaction, name);
      await transaction.sendOffsets({ consumerGroupId: "worker", topics: [{ topic: "in", partitions: [{ partition: 0, offset }] }] });
      await transaction[end]();
      await consumer.disconnect();
      return seen.values;
    };
    const numbers = (from) => Array.from({ length: 10 - from }, (_, i) => String(from + i));

    assert.deepEqual(await work("abort", "aborted", "5"), numbers(0));
    assert.equal(await position(), "-1");
    assert.deepEqual(await work("commit", "committed", "5"), numbers(0)); // Again from the beginning.
    assert.equal(await position(), "5");
    assert.deepEqual(await work("abort", "aborted again", "8"), numbers(5));
    assert.equal(await position(), "5");

    // Offsets alone make a transaction, too.
    const transaction = await producer.transaction();
    await transaction.sendOffsets({ consumerGroupId: "worker", topics: [{ topic: "in", partitions: [{ partition: 0, offset: "7" }] }] });
    await transaction.commit();
    assert.equal(await position(), "7");
    assert.deepEqual(await readCommitted(producer, "after"), expected("committed"));
    await producer.disconnect();
  },

  // A second instance with the same id ends the first one's transaction, and the first is refused from then on.
  async fencing() {
    await createTopics();
    const first = await transactionalProducer("tx");
    const lost = await first.transaction();
    await sendAll(lost, "lost");
    const second = await transactionalProducer("tx");
    const kept = await second.transaction();
    await sendAll(kept, "kept");
    await assert.rejects(sendAll(lost, "late"), fenced);
    await assert.rejects(lost.commit(), fenced);
    await kept.commit();
    assert.deepEqual(await readCommitted(second, "after"), expected("kept"));
    await first.disconnect();
    await second.disconnect();
  },

  // The broker is killed before the first record of a transaction, between its records, before its end, and right behind the answer to a commit.
  async killed() {
    await createTopics();
    const producer = await transactionalProducer("tx");
    await commit(producer, "whole");
    await restartBroker(); // Right behind the answer.

    const nothingYet = await producer.transaction();
    await restartBroker();
    await sendAll(nothingYet, "from the first record on");
    await nothingYet.commit();

    const inTheMiddle = await producer.transaction();
    await sendAll(inTheMiddle, "before");
    await restartBroker();
    await sendAll(inTheMiddle, "after");
    await inTheMiddle.commit();

    const unseen = await producer.transaction();
    await sendAll(unseen, "aborted");
    await restartBroker();
    await sendAll(unseen, "aborted as well");
    await unseen.abort();

    // Nothing but the commit reaches the new process; kafkajs may need a second attempt to find that its connection is gone.
    const onlyTheEnd = await producer.transaction();
    await sendAll(onlyTheEnd, "ended after the restart");
    await restartBroker();
    await onlyTheEnd.commit();

    const values = await readCommitted(producer, "after");
    assert.deepEqual(values, expected("whole", "from the first record on", "before", "after", "ended after the restart"));
    await producer.disconnect();
  },
};
