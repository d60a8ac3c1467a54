#include <algorithm>
#include <memory>
#include <utility>

#include "protocol/redis/adapter/blocking_read.h"
#include "protocol/redis/adapter/blocking_timeout.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/steps.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/words.h"

/// XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [CLAIM min-idle] [NOACK] STREAMS key ... id ...
namespace tidemark::redis {
namespace {

using broker::EntryId;

struct GroupStream {
  std::string name;  ///< As the client wrote it; so it stands in the reply.
  broker::TopicPartition where;
  std::optional<EntryId> after;  ///< Of the history; nullopt: new entries (`>`).
};

struct GroupReadOptions {
  std::string group, consumer;
  std::size_t count = SIZE_MAX;
  std::optional<std::chrono::milliseconds> block;  ///< 0: for ever.
  std::optional<std::chrono::milliseconds> claim;  ///< What others have had for so long comes before new entries.
  bool no_ack = false;
  std::vector<GroupStream> streams;
};

/// An XREADGROUP under way: it sees to it that the group is everywhere, asks each stream in turn, and with nothing new and BLOCK given
/// waits for news of any and asks again.
class GroupReadCall : public BlockingRead {
 public:
  GroupReadCall(const Call& call, GroupReadOptions options)
      : BlockingRead(call, options.block, true), options_(std::move(options)), groups_(call.broker().queues().stream_groups()) {}

  void start() {
    given_back_.assign(options_.streams.size(), 0);
    look();
  }

 private:
  broker::StreamGroupName name_of(const GroupStream& stream) const { return {stream.where, options_.group}; }
  broker::StreamMember member() const { return {options_.consumer, !call().redis_7_0()}; }

  void look_at_all() {
    next_ = 0;
    claim_in_.reset();
    given_back_.assign(options_.streams.size(), 0);
    steps_ = Steps();
    check();
  }

  /// No stream is touched before the group was found in all of them.
  void check() {
    steps_.run([this] {
      if (next_ == options_.streams.size()) {
        next_ = 0;
        look_steps_ = Steps();
        look();
        return false;
      }
      const GroupStream& stream = options_.streams[next_];
      if (!find_stream(call().broker(), stream.name).exists()) {
        lost(true);
        return false;
      }
      groups_.exists(call().context(), name_of(stream), [self = self_as<GroupReadCall>()](const Result<bool>& there) {
        if (!there) return self->fail(there.error());
        if (!*there) return self->lost(false);
        ++self->next_;
        if (self->steps_.ended()) self->check();
      });
      return true;
    });
  }

  void look() {
    look_steps_.run([this] {
      if (next_ == options_.streams.size()) {
        end_look();
        return false;
      }
      const GroupStream& stream = options_.streams[next_];
      if (stream.after) {
        groups_.read_history(call().context(), name_of(stream), member(), *stream.after, options_.count,
                             [self = self_as<GroupReadCall>()](const Result<broker::StreamHistory>& history) {
                               if (!history) return self->look_failed(history.error());
                               self->add_history(*history);
                               self->looked();
                             });
        return true;
      }
      if (claims()) {
        take_idle(stream);
      } else {
        read_new(stream, {});
      }
      return true;
    });
  }
  /// A stream whose history is asked for ends the claiming in those behind it, as in Redis.
  bool claims() const {
    if (!options_.claim) return false;
    const auto before = options_.streams.begin() + static_cast<std::ptrdiff_t>(next_);
    return std::none_of(options_.streams.begin(), before, [](const GroupStream& stream) { return stream.after.has_value(); });
  }
  void take_idle(const GroupStream& stream) {
    const broker::StreamTakeIdle take{.member = member(), .min_idle = *options_.claim, .count = options_.count};
    groups_.take_idle(call().context(), name_of(stream), take, [self = self_as<GroupReadCall>()](Result<broker::StreamIdleTaken> taken) {
      if (!taken) return self->look_failed(taken.error());
      self->given_back_[self->next_] = taken->given_back;
      if (taken->before.empty()) self->claim_in_ = std::min(self->claim_in_.value_or(taken->next), taken->next);
      if (taken->before.size() < self->options_.count) return self->read_new(self->options_.streams[self->next_], *std::move(taken));
      self->add_new({}, *taken);
      self->looked();
    });
  }
  void read_new(const GroupStream& stream, broker::StreamIdleTaken taken) {
    const std::size_t left = options_.count - taken.before.size();
    const broker::StreamRead read{.member = member(), .count = left, .no_ack = options_.no_ack};
    groups_.read_new(call().context(), name_of(stream), read,
                     [self = self_as<GroupReadCall>(), taken = std::move(taken)](const Result<broker::StreamEntries>& entries) {
                       if (!entries && taken.before.empty()) return self->look_failed(entries.error());
                       // What was taken over is told all the same.
                       self->add_new(entries ? *entries : broker::StreamEntries(), taken);
                       self->looked();
                     });
  }
  void looked() {
    ++next_;
    if (look_steps_.ended()) look();
  }
  void look_failed(const Error& error) {
    // What was handed out before is told all the same; the next call hears of the failure.
    if (found_any()) return end_look();
    is_unknown(error) ? lost(error.code == Errc::unknown_topic) : fail(error);
  }

  void add_new(const broker::StreamEntries& entries, const broker::StreamIdleTaken& taken) {
    const std::size_t count = entries.count() + taken.before.size();
    if (count == 0) return;
    begin_stream(options_.streams[next_].name, count);
    for (std::size_t i = 0; i < taken.before.size(); ++i) {
      const auto& [part, place] = *taken.taken.held[i].entry;
      add_with_past(taken.taken.entries.parts[part].entries[place], taken.before[i]);
    }
    for (const broker::EntryBatch& part : entries.parts) {
      for (const broker::Entry& entry : part.entries) claims() ? add_with_past(entry, {}) : write_entry(found(), entry);
    }
  }
  /// With CLAIM, how long it had been idle and how often handed out stand behind each entry.
  void add_with_past(const broker::Entry& entry, const broker::StreamPendingRow& before) {
    const bool nobodys = before.idle == broker::kNobodyHas;  // Given back: as if handed out at the beginning of all time.
    const std::int64_t idle = nobodys ? call().runtime().clock().now().time_since_epoch().count() : before.idle.count();
    found().array(4);
    write_entry_parts(found(), entry);
    found().integer(idle);
    found().integer(shown_deliveries(before.deliveries));
  }
  void add_history(const broker::StreamHistory& history) {
    begin_stream(options_.streams[next_].name, history.held.size());
    for (const broker::StreamHeld& one : history.held) {
      if (one.entry) {
        write_entry(found(), history.entries.parts[one.entry->first].entries[one.entry->second]);
        continue;
      }
      found().array(2);
      found().bulk(to_text(one.id));
      found().null_array();
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const GroupStream& stream : options_.streams) names.push_back(stream.name);
    return names;
  }
  void wait() override {
    std::vector<broker::StreamGroupName> groups;
    for (const GroupStream& stream : options_.streams) groups.push_back(name_of(stream));
    const auto again = [weak = std::weak_ptr(self_as<GroupReadCall>())] {
      if (const std::shared_ptr<GroupReadCall> self = weak.lock()) self->look_again();
    };
    const std::vector<std::uint64_t> seen = claim_in_ ? given_back_ : std::vector<std::uint64_t>();
    wait_ = groups_.wait(call().context(), std::move(groups), options_.consumer, seen, again);
    if (!claim_in_) return;
    claim_timer_ =
        call().shard().run_after(std::max(*claim_in_, std::chrono::milliseconds(1)), [weak = std::weak_ptr(self_as<GroupReadCall>())] {
          const std::shared_ptr<GroupReadCall> self = weak.lock();
          if (!self) return;
          self->claim_timer_.reset();
          if (self->wait_) self->look_again();
        });
  }
  bool waits() const override { return wait_ != nullptr; }
  void end_wait() override {
    wait_.reset();
    end_claim_timer();
  }
  void look_again() {
    end_claim_timer();
    const std::unique_ptr<broker::StreamGroupWait> told = std::move(wait_);
    call().look_again(keys(), [self = self_as<GroupReadCall>()] { self->look_at_all(); });
  }

  /// A stream, or the group in it, is not there, or not any more.
  void lost(bool stream) {
    const std::string& key = options_.streams[next_].name;
    const bool old_words = blocked() && call().redis_7_0();
    if (old_words && stream) return finish([&] { call().error("UNBLOCKED the stream key no longer exists"); });
    if (old_words) return finish([&] { call().error("NOGROUP the consumer group this client was blocked on no longer exists"); });
    finish([&] { call().error(no_such_key_or_group(key, options_.group) + " in XREADGROUP with GROUP option"); });
  }
  void end_claim_timer() {
    if (claim_timer_) call().shard().cancel(*std::exchange(claim_timer_, std::nullopt));
  }

  const GroupReadOptions options_;
  broker::StreamGroups groups_;
  std::size_t next_ = 0;  ///< Stream to be checked, or looked at.
  Steps steps_, look_steps_;
  std::unique_ptr<broker::StreamGroupWait> wait_;
  std::optional<std::chrono::milliseconds> claim_in_;  ///< How long until there may be something to claim.
  std::vector<std::uint64_t> given_back_;              ///< By stream, as of the last look.
  std::optional<broker::TimerId> claim_timer_;
};

/// Longer than anything has been idle, and far from where times overflow.
constexpr std::int64_t kIdleMax = std::int64_t{1} << 52;

/// Reads the words before the streams; answers the position of the first key. nullopt: the call has been answered with an error.
std::optional<std::size_t> parse_options(const Call& call, const Request& request, GroupReadOptions& options) {
  const auto refuse = [&call](std::string_view why) {
    call.error(why);
    return std::nullopt;
  };
  bool grouped = false;
  for (std::size_t i = 1; i < request.size(); ++i) {
    const std::string_view option = request[i];
    const std::size_t more = request.size() - 1 - i;
    if (is_word(option, "CLAIM") && more > 0) {
      const std::optional<std::int64_t> idle = parse_integer(request[++i]);
      if (!idle) return refuse("ERR min-idle-time is not an integer or out of range");
      if (*idle < 0) return refuse("ERR min-idle-time must be a positive integer");
      options.claim = std::chrono::milliseconds(std::min(*idle, kIdleMax));
    } else if (is_word(option, "BLOCK") && more > 0) {
      const BlockingTimeout timeout = parse_timeout(request[++i], call.runtime().clock().now());
      if (!timeout.error.empty()) return refuse(timeout.error);
      options.block = timeout.wait;
    } else if (is_word(option, "COUNT") && more > 0) {
      const std::optional<std::int64_t> count = parse_integer(request[++i]);
      if (!count) return refuse(kNotAnInteger);
      options.count = *count <= 0 ? SIZE_MAX : static_cast<std::size_t>(*count);
    } else if (is_word(option, "GROUP") && more >= 2) {
      options.group = request[i + 1];
      options.consumer = request[i + 2];
      grouped = true;
      i += 2;
    } else if (is_word(option, "NOACK")) {
      options.no_ack = true;
    } else if (is_word(option, "STREAMS") && more > 0) {
      if (more % 2 != 0) {
        // Redis 7.0 speaks of XREAD here, too.
        return refuse(call.redis_7_0()
                          ? "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
                          : "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.");
      }
      if (!grouped) return refuse("ERR Missing GROUP option for XREADGROUP");
      return i + 1;
    } else {
      return refuse(kSyntaxError);
    }
  }
  return refuse(kSyntaxError);
}

/// What a word in the place of an id means. False: the call has been answered.
bool parse_place(const Call& call, std::string_view word, GroupStream& stream) {
  if (word == "$") {
    call.error(
        "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper "
        "ID, "
        "or use the > ID to get new messages. The $ ID would just return an empty result set.");
    return false;
  }
  if (word == ">") return true;
  stream.after = parse_id(word, 0);
  if (!stream.after) {
    call.error(kInvalidStreamId);
    return false;
  }
  // The largest id is how Redis writes `>` to itself.
  if (*stream.after == EntryId::max()) stream.after.reset();
  return true;
}

/// Judges the streams one after another, as Redis does: key, group, then id.
struct Judging : std::enable_shared_from_this<Judging> {
  Judging(const Call& call_in, Request request_in, GroupReadOptions options_in, std::size_t first_in)
      : call(call_in),
        request(std::move(request_in)),
        options(std::move(options_in)),
        first(first_in),
        count((request.size() - first) / 2) {}

  void run() {
    steps.run([this] {
      if (options.streams.size() == count) {
        std::make_shared<GroupReadCall>(call, std::move(options))->start();
        return false;
      }
      const std::size_t n = options.streams.size();
      GroupStream stream;
      stream.name = request[first + n];
      StreamKey key = find_stream(call.broker(), stream.name);
      if (key.state == StreamKey::State::several) {
        call.error(key.problem);
        return false;
      }
      const std::string none = no_such_key_or_group(stream.name, options.group) + " in XREADGROUP with GROUP option";
      if (!key.exists()) {
        call.error(none);
        return false;
      }
      stream.where = std::move(key.where);
      options.streams.push_back(stream);
      call.broker().queues().stream_groups().exists(
          call.context(), {stream.where, options.group}, [self = shared_from_this(), n, none](const Result<bool>& there) {
            if (!there) return self->call.error(there.error());
            if (!*there) return self->call.error(none);
            if (!parse_place(self->call, self->request[self->first + self->count + n], self->options.streams[n])) return;
            if (self->steps.ended()) self->run();
          });
      return true;
    });
  }

  const Call call;
  const Request request;
  GroupReadOptions options;
  const std::size_t first, count;
  Steps steps;
};

}  // namespace

void handle_xreadgroup(const Call& call, const Request& request) {
  GroupReadOptions options;
  const std::optional<std::size_t> first = parse_options(call, request, options);
  if (!first) return;
  // At the start of the command: nothing of this connection may begin while it judges.
  if (options.block) call.hold();
  std::make_shared<Judging>(call, request, std::move(options), *first)->run();
}

}  // namespace tidemark::redis
