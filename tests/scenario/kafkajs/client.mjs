// What kafkajs does against a broker. Usage: node client.mjs HOST:PORT SCENARIO; exit 0 when all went as it should.
import assert from "node:assert/strict";
import kafkajs from "kafkajs";
import { Collector, consume, createTopic, produce, scenario, text, withAdmin } from "./harness.mjs";
import { transactions } from "./transactions.mjs";

const { ConfigResourceTypes, KafkaJSProtocolError } = kafkajs;

const scenarios = {
  async admin() {
    await withAdmin(async (admin) => {
      const validated = { validateOnly: true, waitForLeaders: false, topics: [{ topic: "orders", numPartitions: 3 }] };
      assert.equal(await admin.createTopics(validated), true);
      assert.deepEqual(await admin.listTopics(), []);
      const settings = [{ name: "retention.ms", value: "3600000" }];
      assert.equal(await admin.createTopics({ topics: [{ topic: "orders", numPartitions: 3, configEntries: settings }] }), true);
      assert.equal(await admin.createTopics({ topics: [{ topic: "orders" }] }), false); // It exists.
      assert.deepEqual(await admin.listTopics(), ["orders"]);

      await admin.createPartitions({ topicPartitions: [{ topic: "orders", count: 5 }] });
      const { topics } = await admin.fetchTopicMetadata({ topics: ["orders"] });
      assert.deepEqual(topics[0].partitions.map((p) => p.partitionId).sort(), [0, 1, 2, 3, 4]);

      const cluster = await admin.describeCluster();
      assert.equal(cluster.brokers.length, 1);
      assert.equal(cluster.controller, cluster.brokers[0].nodeId);

      const resource = { type: ConfigResourceTypes.TOPIC, name: "orders" };
      const retention = async () => {
        const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] });
        assert.ok(resources[0].configEntries.length > 20, "all settings are described");
        return resources[0].configEntries.find((entry) => entry.configName === "retention.ms");
      };
      assert.equal((await retention()).configValue, "3600000");
      await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "7200000" }] }] });
      assert.equal((await retention()).configValue, "7200000");
      await assert.rejects(
        admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "soon" }] }] }),
        (error) => error instanceof KafkaJSProtocolError && error.type === "INVALID_CONFIG",
      );

      await assert.rejects(
        admin.describeAcls({ resourceType: 1, permissionType: 1, operation: 1, resourcePatternType: 1 }),
        (error) => error.type === "SECURITY_DISABLED",
      );

      await admin.deleteTopics({ topics: ["orders"] });
      assert.deepEqual(await admin.listTopics(), []);
      await assert.rejects(
        admin.deleteTopics({ topics: ["orders"], timeout: 1000 }),
        (error) => error.cause.type === "UNKNOWN_TOPIC_OR_PARTITION", // It has tried again, as the code allows.
      );
    });
  },

  async produce() {
    await createTopic("orders", 1);
    const messages = [
      { key: "k", value: "with a key", headers: { trace: "1", twice: ["a", "b"] } },
      { value: "without" },
      { key: "gone", value: null },
      ...Array.from({ length: 500 }, (_, i) => ({ key: `k${i}`, value: `value ${i} ${"x".repeat(i)}` })),
    ];
    const stored = await produce("orders", messages, { idempotent: true, maxInFlightRequests: 1 });
    assert.equal(stored[0].errorCode, 0);
    assert.equal(stored[0].baseOffset, "0");
    await withAdmin(async (admin) => {
      assert.deepEqual(await admin.fetchTopicOffsets("orders"), [{ partition: 0, offset: "503", high: "503", low: "0" }]);
      await admin.deleteTopicRecords({ topic: "orders", partitions: [{ partition: 0, offset: "3" }] });
      assert.deepEqual(await admin.fetchTopicOffsets("orders"), [{ partition: 0, offset: "503", high: "503", low: "3" }]);
    });
  },

  async consume() {
    await createTopic("orders", 1);
    await produce("orders", [
      { key: "k", value: "with a key", headers: { trace: "1", twice: ["a", "b"] } },
      { value: "without" },
      { key: "gone", value: null },
    ]);
    const collector = new Collector();
    const messages = [];
    const consumer = await consume("readers", "orders", (message) => {
      messages.push(message);
      collector.add(message.offset);
    });
    await collector.all(["0", "1", "2"]);
    await consumer.disconnect();
    assert.deepEqual(messages.map((m) => [text(m.key), text(m.value)]), [["k", "with a key"], [null, "without"], ["gone", null]]);
    assert.equal(text(messages[0].headers.trace), "1");
    assert.deepEqual(messages[0].headers.twice.map(text), ["a", "b"]);
  },

  // Two consumers share a group; one stops; the other takes over, and nothing is lost.
  async group() {
    await createTopic("orders", 4);
    const batch = (from, to) => Array.from({ length: to - from }, (_, i) => String(from + i));
    const send = (values) => produce("orders", values.map((value) => ({ key: value, value })));
    const collector = new Collector();
    const by = { first: new Set(), second: new Set() };
    const seen = (name) => (message, partition) => {
      by[name].add(partition);
      collector.add(text(message.value));
    };
    await send(batch(0, 200));
    const first = await consume("workers", "orders", seen("first"));
    const rebalanced = new Promise((resolve) => first.on(first.events.GROUP_JOIN, ({ payload }) => {
      if ((payload.memberAssignment.orders ?? []).length === 2) resolve();
    }));
    const second = await consume("workers", "orders", seen("second"));
    await rebalanced;
    await send(batch(200, 400));
    await collector.all(batch(0, 400));
    assert.ok(by.second.size > 0, "both members were given records");

    await second.disconnect();
    await send(batch(400, 600));
    await collector.all(batch(0, 600));
    await withAdmin(async (admin) => {
      const { groups } = await admin.describeGroups(["workers"]);
      assert.equal(groups[0].members.length, 1);
    });
    await first.disconnect();

    // What was committed is not delivered again, and what came meanwhile is there.
    const later = new Collector();
    await send(batch(600, 650));
    const third = await consume("workers", "orders", (message) => later.add(text(message.value)));
    await later.all(batch(600, 650));
    await third.disconnect();
    assert.ok(!later.values.includes("0"), "the group went on where it had committed");
    await withAdmin(async (admin) => {
      assert.deepEqual((await admin.listGroups()).groups.map((group) => group.groupId), ["workers"]);
      await admin.deleteGroups(["workers"]);
      assert.deepEqual((await admin.listGroups()).groups, []);
    });
  },
};

await { ...scenarios, ...transactions }[scenario]();
