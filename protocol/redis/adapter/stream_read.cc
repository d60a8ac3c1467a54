#include <memory>
#include <utility>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/blocking_read.h"
#include "protocol/redis/adapter/blocking_timeout.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/steps.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

using broker::EntryId;

/// A stream of an XREAD.
struct ReadStream {
  std::string name;  ///< As the client wrote it; so it stands in the reply.
  broker::TopicPartition where;
  std::optional<EntryId> after;  ///< nullopt: the end, not asked for yet (`$`), or the last entry (`+`).
  bool last_entry = false;       ///< `+`: the newest entry, looked up anew at each attempt.
};

struct ReadOptions {
  std::size_t count = SIZE_MAX;
  std::optional<std::chrono::milliseconds> block;  ///< 0: for ever.
  std::vector<ReadStream> streams;
};

/// An XREAD under way: it looks at each stream in turn; with nothing found and BLOCK given it waits for news of any and looks again.
class ReadCall : public BlockingRead {
 public:
  ReadCall(const Call& call, ReadOptions options) : BlockingRead(call, options.block, false), options_(std::move(options)) {}

  void start() {
    if (options_.block) call().hold();
    resolve();
  }

 private:
  broker::Entries& entries() { return call().broker().entries(); }

  /// `$` means the end as it is now, however long the command blocks.
  void resolve() {
    steps_.run([this] {
      while (next_ < options_.streams.size() && (options_.streams[next_].after || options_.streams[next_].last_entry)) ++next_;
      if (next_ == options_.streams.size()) {
        look_at_all();
        return false;
      }
      const auto take = [self = self_as<ReadCall>()](const Result<broker::EntryStats>& stats) {
        if (!stats && stats.error().code != Errc::unknown_topic) return self->fail(stats.error());
        self->options_.streams[self->next_].after = stats ? stats->last_id : EntryId::min();
        if (self->steps_.ended()) self->resolve();
      };
      entries().stats(call().context(), options_.streams[next_].where, take);
      return true;
    });
  }

  void look_at_all() {
    next_ = 0;
    look_steps_ = Steps();
    look();
  }

  void look() {
    look_steps_.run([this] {
      if (next_ == options_.streams.size()) {
        end_look();
        return false;
      }
      const ReadStream& stream = options_.streams[next_];
      broker::EntryRange range;
      if (stream.last_entry) {
        range.backwards = true;
        range.count_max = 1;
      } else if (const std::optional<EntryId> first = after(*stream.after)) {
        range.first = *first;
        range.count_max = options_.count;
      } else {
        range.count_max = 0;  // Behind the largest id there is nothing.
      }
      read_range(call(), stream.where, range, [self = self_as<ReadCall>()](const Result<RangeReply>& read) {
        if (!read && read.error().code != Errc::unknown_topic) return self->fail(read.error());
        if (read) self->add(self->next_, *read);
        ++self->next_;
        if (self->look_steps_.ended()) self->look();
      });
      return true;
    });
  }

  void add(std::size_t n, const RangeReply& read) {
    if (read.count == 0) return;
    begin_stream(options_.streams[n].name, read.count);
    found().raw(read.entries);
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const ReadStream& stream : options_.streams) names.push_back(stream.name);
    return names;
  }
  void wait() override {
    news_ = false;
    for (const ReadStream& stream : options_.streams) {
      const EntryId last = stream.last_entry ? EntryId::min() : *stream.after;
      watches_.push_back(
          entries().watch(call().context(), stream.where, last, false, [weak = std::weak_ptr(self_as<ReadCall>())](broker::EntryNews) {
            if (const std::shared_ptr<ReadCall> self = weak.lock()) self->hear();
          }));
    }
  }

  bool waits() const override { return !watches_.empty(); }
  void end_wait() override { watches_.clear(); }

  /// Of several streams at once, the first news is enough.
  void hear() {
    if (!std::exchange(news_, true)) look_again();
  }

  void look_again() {
    const std::vector<std::unique_ptr<broker::EntryWatch>> told = std::move(watches_);
    watches_.clear();
    call().look_again(keys(), [self = self_as<ReadCall>()] { self->look_at_all(); });
  }

  ReadOptions options_;
  std::size_t next_ = 0;  ///< Stream to be resolved, or looked at.
  Steps steps_, look_steps_;
  std::vector<std::unique_ptr<broker::EntryWatch>> watches_;
  bool news_ = false;
};

/// Reads the words before the streams; answers the position of the first key. nullopt: the call has been answered with an error.
std::optional<std::size_t> parse_options(const Call& call, const Request& request, ReadOptions& options) {
  const auto refuse = [&call](std::string_view why) {
    call.error(why);
    return std::nullopt;
  };
  for (std::size_t i = 1; i < request.size(); ++i) {
    const std::string_view option = request[i];
    const std::size_t more = request.size() - 1 - i;
    if (is_word(option, "BLOCK") && more > 0) {
      const BlockingTimeout timeout = parse_timeout(request[++i], call.runtime().clock().now());
      if (!timeout.error.empty()) return refuse(timeout.error);
      options.block = timeout.wait;
    } else if (is_word(option, "COUNT") && more > 0) {
      const std::optional<std::int64_t> count = parse_integer(request[++i]);
      if (!count) return refuse(kNotAnInteger);
      options.count = *count <= 0 ? SIZE_MAX : static_cast<std::size_t>(*count);
    } else if (is_word(option, "STREAMS") && more > 0) {
      if (more % 2 == 0) return i + 1;
      return refuse(call.redis_7_0() ? "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
                                     : "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.");
    } else if (is_word(option, "CLAIM") && more > 0) {
      return refuse("ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.");
    } else if (is_word(option, "GROUP") && more >= 2) {
      return refuse("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
    } else if (is_word(option, "NOACK")) {
      return refuse("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
    } else {
      return refuse(kSyntaxError);
    }
  }
  return refuse(kSyntaxError);
}

}  // namespace

std::vector<std::size_t> find_xread_keys(const Arguments& arguments) {
  std::vector<std::size_t> positions;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const bool with_value = is_word(arguments[i], "BLOCK") || is_word(arguments[i], "COUNT") || is_word(arguments[i], "CLAIM");
    if (with_value) {
      ++i;
    } else if (is_word(arguments[i], "GROUP")) {
      i += 2;
    } else if (is_word(arguments[i], "STREAMS")) {
      const std::size_t count = (arguments.size() - i - 1) / 2;
      for (std::size_t n = 1; n <= count; ++n) positions.push_back(i + n);
      break;
    }
  }
  return positions;
}

void handle_xread(const Call& call, const Request& request) {
  ReadOptions options;
  const std::optional<std::size_t> first = parse_options(call, request, options);
  if (!first) return;
  const std::size_t count = (request.size() - *first) / 2;
  for (std::size_t n = 0; n < count; ++n) {
    const std::string_view id = request[*first + count + n];
    ReadStream stream;
    stream.name = request[*first + n];
    StreamKey key = find_stream(call.broker(), stream.name);
    if (key.state == StreamKey::State::several) return call.error(key.problem);
    stream.where = std::move(key.where);
    if (id == ">") {
      return call.error("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.");
    }
    stream.last_entry = id == "+" && !call.redis_7_0();
    if (id != "$" && !stream.last_entry) {
      stream.after = parse_id(id, 0);
      if (!stream.after) return call.error(kInvalidStreamId);
    }
    options.streams.push_back(std::move(stream));
  }
  std::make_shared<ReadCall>(call, std::move(options))->start();
}

}  // namespace tidemark::redis
