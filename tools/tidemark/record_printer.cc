#include "tools/tidemark/record_printer.h"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace tidemark::tools {
namespace {

/// For people: where the record lies, then its parts.
void append_page(const RecordFields& record, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}:{}:{}   {}\n", printable_text(record.topic), record.partition, record.offset,
                 record.timestamp_ms < 0 ? "no time" : format_time(Timestamp(std::chrono::milliseconds(record.timestamp_ms))));
  out += "key     " + (record.key ? printable_text(*record.key) : "(null)") + "\n";
  for (const Header& header : record.headers) {
    out += "header  " + printable_text(header.name) + "=" + (header.value ? printable_text(*header.value) : "(null)") + "\n";
  }
  if (record.deliveries) fmt::format_to(std::back_inserter(out), "times   handed out {}\n", *record.deliveries);
  out += "value   " + (record.value ? printable_text(*record.value) : "(null)") + "\n";
}

}  // namespace

Result<RecordPrinter> RecordPrinter::make(const std::string& format, char delimiter, OutputFormat output) {
  if (format.empty()) return RecordPrinter(std::nullopt, delimiter, output);
  Result<RecordFormat> parsed = RecordFormat::parse(format, delimiter);
  if (!parsed) return parsed.error();
  return RecordPrinter(*std::move(parsed), delimiter, output);
}

void RecordPrinter::append(const Message& message, std::string& out, std::optional<std::int64_t> deliveries) const {
  if (!format_ && output_ == OutputFormat::table) {
    out += message.value().value_or("");
    out += delimiter_;
    return;
  }
  RecordFields fields = fields_of(message);
  fields.deliveries = deliveries;
  std::vector<Header> headers;
  if (!format_ || format_->uses_headers()) headers = message.headers();
  fields.headers = headers;
  if (format_) {
    format_->append(fields, out);
  } else if (is_json(output_)) {
    out += boost::json::serialize(record_to_json(fields));
    out += '\n';
  } else {
    append_page(fields, out);
  }
}

bool matches(const broker::RecordFilter& filter, const Message& message) {
  broker::FilteredRecord record;
  record.topic = message.topic();
  record.partition = message.partition();
  record.offset = message.offset().value;
  record.timestamp_ms = message.timestamp().time_since_epoch().count();
  record.key = message.key();
  record.value = message.value();
  std::vector<HeaderView> headers;
  if (filter.uses_headers()) {
    for (const Header& header : message.headers()) {
      HeaderView& view = headers.emplace_back(HeaderView{header.name, std::nullopt});
      if (header.value) view.value = as_bytes(*header.value);
    }
  }
  record.headers = headers;
  return filter.matches(record);
}

}  // namespace tidemark::tools
