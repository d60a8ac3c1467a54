#include "protocol/redis/adapter/stream_trim_options.h"

#include <algorithm>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/removal_options.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

using broker::EntryTrim;

/// Without LIMIT one approximate trim removes this much: enough to keep up, not enough to be noticed.
std::uint64_t default_limit(std::uint64_t node_entries) {
  constexpr std::uint64_t kWithoutNodes = 10'000, kMax = 1'000'000;
  return node_entries == 0 ? kWithoutNodes : std::min(100 * std::min(node_entries, kMax), kMax);
}

class OptionParser {
 public:
  OptionParser(const Request& request, bool xadd, std::uint64_t node_entries)
      : request_(request), xadd_(xadd), node_entries_(node_entries) {}

  StreamOptions parse() {
    std::size_t i = 2;
    for (; i < request_.size() && options_.error.empty(); ++i) {
      if (parse_one(i)) break;
    }
    options_.fields_at = i + 1;
    if (options_.error.empty()) check_limit();
    return std::move(options_);
  }

 private:
  /// Reads the option at `i` and leaves `i` at its last argument. True: the id stands there.
  bool parse_one(std::size_t& i) {
    const std::string_view option = request_[i];
    const std::size_t more = request_.size() - 1 - i;
    if (xadd_ && option == "*") return true;
    if (is_word(option, "maxlen") && more > 0) {
      parse_threshold(i, EntryTrim::Kind::max_length);
    } else if (is_word(option, "minid") && more > 0) {
      parse_threshold(i, EntryTrim::Kind::min_id);
    } else if (is_word(option, "limit") && more > 0) {
      const std::optional<std::int64_t> limit = parse_integer(request_[++i]);
      if (!limit)
        options_.error = kNotAnInteger;
      else if (*limit < 0)
        options_.error = "ERR The LIMIT argument must be >= 0.";
      else
        limit_ = static_cast<std::uint64_t>(*limit);
    } else if (const auto references = parse_references(option); references && !references_given_) {
      options_.references = *references;
      references_given_ = true;
    } else if (xadd_ && is_word(option, "nomkstream")) {
      options_.no_mkstream = true;
    } else if (xadd_ && is_word(option, "idmpauto") && more > 0) {
      parse_once(i, "IDMPAUTO", 1);
    } else if (xadd_ && is_word(option, "idmp") && more > 1) {
      parse_once(i, "IDMP", 2);
    } else if (xadd_) {
      options_.id = parse_add_id(option);
      if (!options_.id)
        options_.error = kInvalidStreamId;
      else if (options_.producer && !option.starts_with('*'))
        options_.error = "ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs";
      return true;
    } else {
      options_.error = kSyntaxError;
    }
    return false;
  }

  void parse_once(std::size_t& i, std::string_view option, std::size_t words) {
    const auto refuse = [this](std::string why) { options_.error = "ERR syntax error, " + std::move(why); };
    if (options_.producer) return refuse("IDMP/IDMPAUTO specified multiple times");
    if (request_[i + 1].empty()) return refuse(std::string(option) + " requires a non-empty producer ID");
    if (words == 2 && request_[i + 2].empty()) return refuse(std::string(option) + " requires a non-empty idempotent ID");
    options_.producer = request_[i + 1];
    if (words == 2) options_.once = request_[i + 2];
    i += words;
  }

  void parse_threshold(std::size_t& i, EntryTrim::Kind kind) {
    if (options_.trim) {
      options_.error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
      return;
    }
    EntryTrim trim;
    trim.kind = kind;
    trim.node_entries = node_size(node_entries_);
    const bool two_more = request_.size() - 1 - i >= 2;
    if (two_more && (request_[i + 1] == "~" || request_[i + 1] == "=")) trim.approximate = request_[++i] == "~";
    const std::string_view threshold = request_[++i];
    if (kind == EntryTrim::Kind::max_length) {
      const std::optional<std::int64_t> length = parse_integer(threshold);
      if (!length)
        options_.error = kNotAnInteger;
      else if (*length < 0)
        options_.error = "ERR The MAXLEN argument must be >= 0.";
      else
        trim.max_length = static_cast<std::uint64_t>(*length);
    } else {
      const std::optional<broker::EntryId> id = parse_id(threshold, 0);
      if (!id)
        options_.error = kInvalidStreamId;
      else
        trim.min_id = *id;
    }
    options_.trim = trim;
  }

  void check_limit() {
    if (!options_.trim) {
      // A limit of 0 is no limit, and nobody is told that it limits nothing.
      if (limit_.value_or(0) != 0)
        options_.error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
      else if (!xadd_)
        options_.error = "ERR syntax error, XTRIM must be called with a trimming strategy";
      else if (limit_)
        options_.error = kLimitWithoutTilde;
      return;
    }
    if (limit_ && !options_.trim->approximate) {
      options_.error = kLimitWithoutTilde;
      return;
    }
    if (options_.trim->approximate) options_.trim->limit = limit_.value_or(default_limit(node_entries_));
  }

  static constexpr std::string_view kLimitWithoutTilde = "ERR syntax error, LIMIT cannot be used without the special ~ option";

  const Request& request_;
  const bool xadd_;
  const std::uint64_t node_entries_;
  std::optional<std::uint64_t> limit_;
  bool references_given_ = false;
  StreamOptions options_;
};

}  // namespace

std::uint32_t node_size(std::uint64_t node_entries) {
  return node_entries == 0 ? UINT32_MAX : static_cast<std::uint32_t>(std::min<std::uint64_t>(node_entries, UINT32_MAX));
}

StreamOptions parse_stream_options(const Request& request, bool xadd, std::uint64_t node_entries) {
  return OptionParser(request, xadd, node_entries).parse();
}

}  // namespace tidemark::redis
