#include "broker/record_filter.h"

#include <algorithm>
#include <charconv>
#include <compare>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <re2/re2.h>

#include "storage/base/check.h"
#include "storage/base/text.h"
#include "storage/base/time_text.h"

namespace tidemark::broker {
namespace {

enum class Field { key, value, header, topic, partition, offset, time, deliveries, reason };
enum class Operator { equal, not_equal, less, less_equal, greater, greater_equal, prefix, regex, glob };

constexpr std::size_t kTextBytesMax = 64 * 1024;
constexpr int kDepthMax = 64;
constexpr std::int64_t kRegexMemoryMax = 8 * 1024 * 1024;

bool is_number_field(Field field) {
  return field == Field::partition || field == Field::offset || field == Field::time || field == Field::deliveries;
}

std::optional<double> to_number(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <class T>
bool compare(Operator op, const T& left, const T& right) {
  switch (op) {
    case Operator::equal:
      return left == right;
    case Operator::not_equal:
      return left != right;
    case Operator::less:
      return left < right;
    case Operator::less_equal:
      return left <= right;
    case Operator::greater:
      return left > right;
    case Operator::greater_equal:
      return left >= right;
    case Operator::prefix:
    case Operator::regex:
    case Operator::glob:
      break;
  }
  check_failed("text operators do not compare", __FILE__, __LINE__);
}

}  // namespace

struct RecordFilter::Node {
  enum class Kind { condition, all_of, any_of, negation };
  Kind kind = Kind::condition;
  std::vector<std::unique_ptr<const Node>> children;

  Field field = Field::key;
  std::string header;
  Operator op = Operator::equal;
  std::string text;                    ///< The string to compare with, or the prefix.
  std::optional<double> number;        ///< A bare number compared with a text field.
  std::int64_t integer = 0;            ///< For fields that are numbers.
  std::unique_ptr<const RE2> pattern;  ///< regex and glob.

  bool matches(const FilteredRecord& record) const;
  bool uses_headers() const;

 private:
  bool condition_holds(const FilteredRecord& record) const;
  bool text_holds(std::string_view content) const;
};

namespace {

using NodePointer = std::unique_ptr<const RecordFilter::Node>;

std::optional<std::string_view> text_of(const FilteredRecord& record, const RecordFilter::Node& node) {
  switch (node.field) {
    case Field::key:
      return record.key;
    case Field::value:
      return record.value;
    case Field::topic:
      return record.topic;
    case Field::reason:
      return record.reason;
    case Field::header:
      // The last one of a name wins, as in Message::header().
      for (std::size_t i = record.headers.size(); i-- > 0;) {
        if (record.headers[i].name == node.header && record.headers[i].value) return as_text(*record.headers[i].value);
      }
      return std::nullopt;
    case Field::partition:
    case Field::offset:
    case Field::time:
    case Field::deliveries:
      break;
  }
  check_failed("a number field has no text", __FILE__, __LINE__);
}

std::optional<std::int64_t> integer_of(const FilteredRecord& record, Field field) {
  switch (field) {
    case Field::partition:
      return record.partition;
    case Field::offset:
      return record.offset;
    case Field::time:
      return record.timestamp_ms < 0 ? std::nullopt : std::optional(record.timestamp_ms);
    case Field::deliveries:
      return record.deliveries;
    case Field::key:
    case Field::value:
    case Field::header:
    case Field::topic:
    case Field::reason:
      break;
  }
  check_failed("a text field has no number", __FILE__, __LINE__);
}

/// Recursive descent over the text; every step checks what it takes.
class Parser {
 public:
  Parser(std::string_view text, Timestamp now) : text_(text), now_(now) {}

  Result<NodePointer> parse() {
    Result<NodePointer> root = expression(0);
    if (!root) return root;
    skip_spaces();
    if (at_ < text_.size()) return unexpected("`and`, `or` or the end");
    return root;
  }

 private:
  Result<NodePointer> expression(int depth) { return chain(depth, "or", RecordFilter::Node::Kind::any_of, &Parser::term); }
  Result<NodePointer> term(int depth) { return chain(depth, "and", RecordFilter::Node::Kind::all_of, &Parser::factor); }

  /// operand { word operand }
  Result<NodePointer> chain(int depth, std::string_view word, RecordFilter::Node::Kind kind, Result<NodePointer> (Parser::*operand)(int)) {
    Result<NodePointer> first = (this->*operand)(depth);
    if (!first || !take_word(word)) return first;
    auto node = std::make_unique<RecordFilter::Node>();
    node->kind = kind;
    node->children.push_back(*std::move(first));
    do {
      Result<NodePointer> next = (this->*operand)(depth);
      if (!next) return next;
      node->children.push_back(*std::move(next));
    } while (take_word(word));
    return NodePointer(std::move(node));
  }

  Result<NodePointer> factor(int depth) {
    if (depth == kDepthMax) return fail(fmt::format("more than {} levels of `not` and parentheses", kDepthMax));
    if (take_word("not")) {
      Result<NodePointer> inner = factor(depth + 1);
      if (!inner) return inner;
      auto node = std::make_unique<RecordFilter::Node>();
      node->kind = RecordFilter::Node::Kind::negation;
      node->children.push_back(*std::move(inner));
      return NodePointer(std::move(node));
    }
    if (take("(")) {
      Result<NodePointer> inner = expression(depth + 1);
      if (!inner) return inner;
      if (!take(")")) return unexpected("`)`");
      return inner;
    }
    return condition();
  }

  Result<NodePointer> condition() {
    auto node = std::make_unique<RecordFilter::Node>();
    if (const Status field = take_field(*node); !field) return field.error();
    if (const Status op = take_operator(*node); !op) return op.error();
    if (const Status value = take_value(*node); !value) return value.error();
    return NodePointer(std::move(node));
  }

  Status take_field(RecordFilter::Node& node) {
    static constexpr std::pair<std::string_view, Field> kFields[] = {
        {"key", Field::key},       {"value", Field::value}, {"topic", Field::topic},           {"partition", Field::partition},
        {"offset", Field::offset}, {"time", Field::time},   {"deliveries", Field::deliveries}, {"reason", Field::reason}};
    skip_spaces();
    const std::size_t start = at_;
    const std::string_view name = bare_word();
    for (const auto& [known, field] : kFields) {
      if (name != known) continue;
      node.field = field;
      return {};
    }
    at_ = start;
    if (!name.starts_with("header.")) {
      return unexpected("a field: key, value, header.NAME, topic, partition, offset, time, deliveries or reason");
    }
    at_ += std::string_view("header.").size();
    node.field = Field::header;
    if (at_ < text_.size() && is_quote(text_[at_])) {
      Result<std::string> quoted = take_string();
      if (!quoted) return quoted.error();
      node.header = *std::move(quoted);
    } else {
      node.header = bare_word();
    }
    if (node.header.empty()) return unexpected("a header name after `header.`");
    return {};
  }

  Status take_operator(RecordFilter::Node& node) {
    static constexpr std::pair<std::string_view, Operator> kOperators[] = {
        {"!=", Operator::not_equal}, {"<=", Operator::less_equal}, {">=", Operator::greater_equal}, {"^=", Operator::prefix},
        {"*=", Operator::glob},      {"==", Operator::equal},      {"=", Operator::equal},          {"<", Operator::less},
        {">", Operator::greater},    {"~", Operator::regex}};
    for (const auto& [sign, op] : kOperators) {  // Two-character signs first: `<=` is not `<` and a value.
      if (!take(sign)) continue;
      node.op = op;
      return {};
    }
    return unexpected("an operator: = != < <= > >= ^= ~ *=");
  }

  Status take_value(RecordFilter::Node& node) {
    skip_spaces();
    const bool quoted = at_ < text_.size() && is_quote(text_[at_]);
    const std::size_t start = at_;
    std::string value;
    if (quoted) {
      Result<std::string> text = node.op == Operator::regex ? take_raw_string() : take_string();
      if (!text) return text.error();
      value = *std::move(text);
    } else {
      value = bare_value();
      if (value.empty()) return unexpected("a value: \"text\", a number or a time");
    }
    if (is_number_field(node.field)) return set_integer(node, value, start);
    return set_text(node, std::move(value), quoted, start);
  }

  Status set_integer(RecordFilter::Node& node, const std::string& value, std::size_t start) {
    if (node.op == Operator::prefix || node.op == Operator::regex || node.op == Operator::glob) {
      at_ = start;
      return fail("`^=`, `~` and `*=` are for text, this field is a number");
    }
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), node.integer);
    if (failure == std::errc() && end == value.data() + value.size()) return {};
    if (node.field != Field::time) {
      at_ = start;
      return unexpected("a whole number");
    }
    const std::string_view time = value.starts_with('@') ? std::string_view(value).substr(1) : std::string_view(value);
    const Result<Timestamp> parsed = parse_time(time, now_);
    if (!parsed) {
      at_ = start;
      return fail(parsed.error().detail);
    }
    node.integer = parsed->time_since_epoch().count();
    return {};
  }

  Status set_text(RecordFilter::Node& node, std::string value, bool quoted, std::size_t start) {
    if (node.op == Operator::regex || node.op == Operator::glob) return set_pattern(node, value, start);
    if (!quoted) {
      node.number = to_number(value);
      if (!node.number || node.op == Operator::prefix) {
        at_ = start;
        return unexpected("a string in quotes");
      }
    }
    node.text = std::move(value);
    return {};
  }

  Status set_pattern(RecordFilter::Node& node, const std::string& value, std::size_t start) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kRegexMemoryMax);
    if (!is_utf8(value)) options.set_encoding(RE2::Options::EncodingLatin1);
    std::string pattern = value;
    if (node.op == Operator::glob) {
      options.set_encoding(RE2::Options::EncodingLatin1);  // A glob matches bytes: values need not be UTF-8.
      pattern = glob_to_regex(value);
    }
    auto compiled = std::make_unique<RE2>(pattern, options);
    if (!compiled->ok()) {
      at_ = start;
      return fail(fmt::format("not a regular expression: {}", compiled->error()));
    }
    node.pattern = std::move(compiled);
    return {};
  }

  static std::string glob_to_regex(std::string_view glob) {
    std::string pattern = "(?s)\\A";
    for (const char c : glob) {
      if (c == '*') {
        pattern += ".*";
      } else if (c == '?') {
        pattern += '.';
      } else {
        pattern += fmt::format("\\x{{{:02x}}}", static_cast<unsigned char>(c));
      }
    }
    return pattern + "\\z";
  }

  Result<std::string> take_string() {
    const std::size_t start = at_;
    const Result<std::string> raw = take_raw_string();
    if (!raw) return raw;
    Result<std::string> plain = unescape(*raw);
    if (!plain) {
      at_ = start;
      return fail(plain.error().detail);
    }
    return plain;
  }

  /// What stands between the quotes, backslashes included: RE2 knows the same escapes and more. Pre: at a quote.
  Result<std::string> take_raw_string() {
    const std::size_t start = at_;
    const char quote = text_[at_++];
    const std::size_t from = at_;
    while (at_ < text_.size() && text_[at_] != quote) at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) {
      at_ = start;
      return fail("a string without its closing quote");
    }
    return std::string(text_.substr(from, at_++ - from));
  }

  static bool is_quote(char c) { return c == '"' || c == '\''; }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  }

  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  /// Field and header names.
  std::string_view bare_word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }
  /// Numbers and times: up to a space or parenthesis.
  std::string_view bare_value() {
    const std::size_t start = at_;
    while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != '(' && text_[at_] != ')') ++at_;
    return text_.substr(start, at_ - start);
  }
  bool take(std::string_view sign) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  bool take_word(std::string_view word) {
    skip_spaces();
    const std::size_t start = at_;
    if (bare_word() == word) return true;
    at_ = start;
    return false;
  }

  Error fail(std::string_view what) const {
    return Error{.code = Errc::invalid_argument, .detail = fmt::format("filter, column {}: {}", at_ + 1, what)};
  }
  Error unexpected(std::string_view wanted) const {
    const std::string_view rest = text_.substr(std::min(at_, text_.size())).substr(0, 20);
    if (rest.empty()) return fail(fmt::format("expected {}, found the end", wanted));
    return fail(fmt::format("expected {}, found `{}`", wanted, rest));
  }

  std::string_view text_;
  Timestamp now_;
  std::size_t at_ = 0;
};

}  // namespace

bool RecordFilter::Node::matches(const FilteredRecord& record) const {
  const auto child_matches = [&](const NodePointer& child) { return child->matches(record); };
  switch (kind) {
    case Kind::condition:
      return condition_holds(record);
    case Kind::all_of:
      return std::ranges::all_of(children, child_matches);
    case Kind::any_of:
      return std::ranges::any_of(children, child_matches);
    case Kind::negation:
      return !children.front()->matches(record);
  }
  check_failed("every kind of node is known", __FILE__, __LINE__);
}

bool RecordFilter::Node::condition_holds(const FilteredRecord& record) const {
  if (is_number_field(field)) {
    const std::optional<std::int64_t> content = integer_of(record, field);
    return content && compare(op, *content, integer);
  }
  const std::optional<std::string_view> content = text_of(record, *this);
  return content && text_holds(*content);
}

bool RecordFilter::Node::text_holds(std::string_view content) const {
  switch (op) {
    case Operator::prefix:
      return content.starts_with(text);
    case Operator::regex:
    case Operator::glob:
      return RE2::PartialMatch(re2::StringPiece(content.data(), content.size()), *pattern);
    default:
      break;
  }
  if (!number) return compare(op, content, std::string_view(text));
  const std::optional<double> value = to_number(content);
  return value && compare(op, *value, *number);
}

bool RecordFilter::Node::uses_headers() const {
  if (kind == Kind::condition) return field == Field::header;
  return std::ranges::any_of(children, [](const NodePointer& child) { return child->uses_headers(); });
}

RecordFilter::RecordFilter(std::unique_ptr<const Node> root) : root_(std::move(root)) {}
RecordFilter::RecordFilter(RecordFilter&&) noexcept = default;
RecordFilter& RecordFilter::operator=(RecordFilter&&) noexcept = default;
RecordFilter::~RecordFilter() = default;

Result<RecordFilter> RecordFilter::parse(std::string_view text, Timestamp now) {
  if (text.size() > kTextBytesMax) {
    return Error{.code = Errc::invalid_argument, .detail = fmt::format("filter: longer than {} bytes", kTextBytesMax)};
  }
  Result<NodePointer> root = Parser(text, now).parse();
  if (!root) return root.error();
  return RecordFilter(*std::move(root));
}

bool RecordFilter::matches(const FilteredRecord& record) const { return root_->matches(record); }
bool RecordFilter::uses_headers() const { return root_->uses_headers(); }

}  // namespace tidemark::broker
