#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/posix_file_system.h"
#include "tools/tidemark/format.h"
#include "tools/tidemark/log_commands.h"
#include "tools/tidemark/record_fields.h"
#include "tools/tidemark/segment_file.h"

namespace tidemark::tools {
namespace {

boost::json::object batch_to_json(const SegmentFile::Batch& batch) {
  const BatchHeader& header = batch.header;
  boost::json::object object;
  object["position"] = batch.position.value;
  object["bytes"] = header.size_bytes();
  object["base_offset"] = header.base_offset.value;
  object["last_offset"] = header.last_offset().value;
  object["records"] = header.record_count;
  object["codec"] = to_string(header.codec());
  object["base_timestamp_ms"] = header.base_timestamp_ms;
  object["max_timestamp_ms"] = header.max_timestamp_ms;
  object["timestamp_type"] = header.log_append_time() ? "log_append_time" : "create_time";
  object["leader_epoch"] = header.leader_epoch;
  object["producer_id"] = header.producer_id;
  object["producer_epoch"] = header.producer_epoch;
  object["base_sequence"] = header.base_sequence;
  object["transactional"] = header.is_transactional();
  object["control"] = header.is_control();
  object["crc"] = header.crc;
  object["crc_valid"] = batch.crc_valid;
  return object;
}

std::string batch_line(const SegmentFile::Batch& batch) {
  const BatchHeader& header = batch.header;
  std::string line = fmt::format("at {}  {} bytes  offsets {}..{}  {} records  {}  time {}..{}  epoch {}", batch.position.value,
                                 header.size_bytes(), header.base_offset.value, header.last_offset().value, header.record_count,
                                 to_string(header.codec()), header.base_timestamp_ms, header.max_timestamp_ms, header.leader_epoch);
  if (header.has_producer()) {
    line += fmt::format("  producer {}/{} sequence {}", header.producer_id, header.producer_epoch, header.base_sequence);
  }
  if (header.is_transactional()) line += "  transactional";
  if (header.is_control()) line += "  control";
  line += fmt::format("  crc {:08x}{}\n", header.crc, batch.crc_valid ? "" : " BAD");
  return line;
}

/// The file does not say which topic and partition it belongs to.
boost::json::object record_json(const RecordFields& record, bool control) {
  boost::json::object object = record_to_json(record);
  object.erase("topic");
  object.erase("partition");
  object.erase("deliveries");
  object["control"] = control;
  return object;
}

std::string record_line(const RecordFields& record) {
  const auto shown = [](std::optional<std::string_view> bytes) { return bytes ? printable_text(*bytes) : std::string("(null)"); };
  return fmt::format("{}  {}  {}  {}\n", record.offset, record.timestamp_ms, shown(record.key), shown(record.value));
}

class Dumper {
 public:
  Dumper(const LogDumpOptions& options, const Globals& globals, std::optional<RecordFormat> format)
      : options_(options), globals_(globals), format_(std::move(format)), out_(STDOUT_FILENO) {}

  Exit run(SegmentFile& file) {
    for (;;) {
      const Result<std::optional<SegmentFile::Batch>> batch = file.next();
      if (!batch) return finish(batch.error());
      if (!*batch) break;
      if (const Status dumped = dump(**batch); !dumped) return finish(dumped.error());
      if (out_.broken_pipe()) return Exit::done;
    }
    if (file.position().value < file.size()) {
      write_stderr(fmt::format("{} zero bytes at the end: space that was taken and not used\n", file.size() - file.position().value));
    }
    return finish({});
  }

 private:
  Status dump(const SegmentFile::Batch& batch) {
    if (!batch.crc_valid) {
      bad_crc_ = true;
      write_stderr(fmt::format("{} at {}: offsets {}..{}: crc\n", options_.file, batch.position.value, batch.header.base_offset.value,
                               batch.header.end_offset().value));
    }
    if (options_.records) return dump_records(batch);
    return out_.write(is_json(globals_.output) ? boost::json::serialize(batch_to_json(batch)) + "\n" : batch_line(batch));
  }

  Status dump_records(const SegmentFile::Batch& batch) {
    if (!batch.crc_valid) return {};  // What these bytes say is not what was stored.
    Result<BatchReader> reader = BatchReader::open(batch.bytes);
    if (!reader) return at(batch, reader.error());
    RecordView record;
    for (;;) {
      const Result<bool> more = reader->next(record);
      if (!more) return at(batch, more.error());
      if (!*more) return {};
      if (const Status written = print(record, batch.header.is_control()); !written) return written;
    }
  }

  Status print(const RecordView& record, bool control) {
    const auto text_of = [](std::optional<ByteView> bytes) { return bytes ? std::optional(as_text(*bytes)) : std::nullopt; };
    std::vector<Header> headers;
    for (const HeaderView& header : record.headers()) headers.push_back({header.name, text_of(header.value)});
    RecordFields fields;
    fields.offset = record.offset.value;
    fields.timestamp_ms = record.timestamp_ms;
    fields.key = text_of(record.key);
    fields.value = text_of(record.value);
    fields.headers = headers;
    std::string text;
    if (format_) {
      format_->append(fields, text);
    } else {
      text = is_json(globals_.output) ? boost::json::serialize(record_json(fields, control)) + "\n" : record_line(fields);
    }
    return out_.write(text);
  }

  Error at(const SegmentFile::Batch& batch, Error error) const {
    error.detail = fmt::format("{} at {}: {}", options_.file, batch.position.value, error.detail);
    return error;
  }

  Exit finish(std::optional<Error> error) {
    const Status flushed = out_.flush();
    if (error) return report(*error, globals_.output);
    if (!flushed) return report(flushed.error(), globals_.output);
    return bad_crc_ ? Exit::failed : Exit::done;
  }

  const LogDumpOptions& options_;
  const Globals& globals_;
  std::optional<RecordFormat> format_;
  Writer out_;
  bool bad_crc_ = false;
};

}  // namespace

Exit log_dump(const LogDumpOptions& options, const Globals& globals) {
  std::optional<RecordFormat> format;
  if (!options.format.empty()) {
    if (!options.records) return report_usage("--format goes with --records", globals.output);
    Result<RecordFormat> parsed = RecordFormat::parse(options.format);
    if (!parsed) return report(parsed.error(), globals.output);
    format = *std::move(parsed);
  }
  storage::PosixFileSystem files;
  Result<SegmentFile> file = SegmentFile::open(files, options.file);
  if (!file) return report(file.error(), globals.output);
  return Dumper(options, globals, std::move(format)).run(*file);
}

}  // namespace tidemark::tools
