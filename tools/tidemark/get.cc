#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/tidemark/options.h"
#include "tools/tidemark/record_printer.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

struct GetOptions {
  std::string address;
  std::string format;
};

Exit get(const GetOptions& options, const Globals& globals) {
  const Result<RecordAddress> address = parse_record_address(options.address);
  if (!address) return report(address.error(), globals.output);
  const Result<RecordPrinter> printer = RecordPrinter::make(options.format, '\n', globals.output);
  if (!printer) return report(printer.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Offset offset{address->offset};
  const Result<Fetched> fetched = client->admin().fetch(address->topic, address->partition, offset, 1);
  if (!fetched) return report(fetched.error(), globals.output);
  if (fetched->messages.empty() || fetched->messages.front().offset() != offset) {
    // Inside the log, yet not there: at the end, compacted away, or a transaction's marker.
    const Error error{.code = Errc::not_found,
                      .detail = fmt::format("no record at {}:{}:{}; the partition holds {} to {}", address->topic, address->partition,
                                            address->offset, fetched->log_start.value, fetched->high_watermark.value)};
    return report(error, globals.output);
  }
  std::string text;
  printer->append(fetched->messages.front(), text);
  return write_stdout(text) ? Exit::done : Exit::failed;
}

}  // namespace

void add_get_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("get", "Print one record: its value, or all of it with -o wide or json");
  const auto options = std::make_shared<GetOptions>();
  verb->add_option("record", options->address, "TOPIC:PARTITION:OFFSET")->required();
  verb->add_option("-f,--format", options->format, "What to print, as in consume")->type_name("FMT");
  verb->callback(
      [&invocation, options] { invocation.action = [options](const Globals& globals, Interrupts&) { return get(*options, globals); }; });
}

}  // namespace tidemark::tools
