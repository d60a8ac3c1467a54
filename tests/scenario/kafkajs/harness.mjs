// What the scenarios share: clients of the broker under test, and promises instead of waiting times.
import assert from "node:assert/strict";
import kafkajs from "kafkajs";

const { Kafka, CompressionTypes, logLevel } = kafkajs;

export const [address, scenario] = process.argv.slice(2);
export const kafka = new Kafka({
  clientId: "kafkajs-test",
  brokers: [address],
  logLevel: logLevel.ERROR,
  retry: { retries: 3, initialRetryTime: 50 },
});

export const text = (bytes) => (bytes === null ? null : bytes.toString());

export async function withAdmin(act) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await act(admin);
  } finally {
    await admin.disconnect();
  }
}

export async function produce(topic, messages, options = {}) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options });
  await producer.connect();
  const stored = await producer.send({ topic, messages, compression: CompressionTypes.GZIP });
  await producer.disconnect();
  return stored;
}

export const createTopic = (topic, numPartitions) =>
  withAdmin(async (admin) => assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions }] }), true));

// Runs a consumer of `groupId`; `seen(message, partition)` is called for each message. Answers it once it has its first partitions.
// `settings` are more of its making, `running` of its run.
export async function consume(groupId, topics, seen, settings = {}, running = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, ...settings });
  await consumer.connect();
  await consumer.subscribe({ topics: [topics].flat(), fromBeginning: true });
  const joined = new Promise((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, resolve);
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  });
  await consumer.run({ eachMessage: async ({ message, partition }) => seen(message, partition), ...running });
  await joined;
  return consumer;
}

// A promise that is kept when the collector has seen all the values that are wanted of it.
export class Collector {
  values = [];
  #wanted = new Set();
  #resolve = () => {};
  add(value) {
    this.values.push(value);
    this.#wanted.delete(value);
    if (this.#wanted.size === 0) this.#resolve();
  }
  all(wanted) {
    this.#wanted = new Set(wanted.filter((value) => !this.values.includes(value)));
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#wanted.size === 0) resolve();
    });
  }
}
