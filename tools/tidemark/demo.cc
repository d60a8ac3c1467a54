#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <poll.h>

#include "storage/base/time_text.h"
#include "storage/base/units.h"
#include "tools/tidemark/demo_broker.h"
#include "tools/tidemark/demo_shop.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"

/// `tidemark demo`: a shop in which something is always wrong, to look at lag with.
namespace tidemark::tools {
namespace {

constexpr std::chrono::milliseconds kLookEvery{1000};

struct DemoOptions {
  std::string length;  ///< Duration; empty: until Ctrl-C.
  std::string http = "127.0.0.1:0";
  std::string native = "127.0.0.1:0";
  double rate = 20;
  std::int64_t backlog = 6000;
  std::string objective = "10s";
};

std::string welcome(const std::string& server, const DemoBroker* broker) {
  std::string text = broker != nullptr ? fmt::format("The shop is open, on a broker of its own (data in {})\n", broker->data_dir())
                                       : fmt::format("The shop is open, on the broker at {}\n", server);
  if (broker != nullptr && !broker->url().empty()) text += fmt::format("  console   {}\n", broker->url());
  text += fmt::format("  lag       tidemark -s {} group lag -w\n", server);
  text +=
      "What to look at, within half a minute:\n"
      "  inventory draining  a sale was more than it can do at once; it will be through, and says when\n"
      "  billing   ok        but some orders cannot be billed: dlq ls, dlq show billing, dlq redrive billing\n"
      "  shipping  stalled   a worker took all it may have, and hangs: group pending shipping, group release shipping\n"
      "  analytics stopped   its only member has left: group show analytics\n"
      "Ctrl-C closes the shop.\n";
  return text;
}

/// Tells what changes: the verdict of a group, and its first dead letter.
class Reporter {
 public:
  Reporter(Client& client, OutputFormat output) : client_(client), output_(output) {}

  /// Error io_error: nobody reads what is told.
  Status look() {
    const Result<std::vector<GroupDescription>> groups = client_.groups().list();
    if (!groups) return groups.error();
    const Result<std::vector<QueueDescription>> queues = client_.queues().list();
    if (!queues) return queues.error();
    for (const GroupDescription& group : *groups) {
      if (group.kind != "stream") continue;
      if (const Status told = verdict(group.name, group.verdict, group.cause); !told) return told.error();
    }
    for (const QueueDescription& queue : *queues) {
      if (const Status told = verdict(queue.group, queue.verdict, queue.cause); !told) return told.error();
    }
    const Result<std::vector<DeadLetterSummary>> letters = client_.queues().dead_letters();
    if (!letters) return letters.error();
    for (const DeadLetterSummary& summary : *letters) {
      if (summary.letters == 0 || summary.reasons.empty()) continue;
      if (const Status told = changed(summary.group + ".dlq", "dead letters", summary.reasons.front().first); !told) return told.error();
    }
    return {};
  }

 private:
  Status verdict(const std::string& group, const std::string& verdict, const std::string& cause) { return changed(group, verdict, cause); }

  Status changed(const std::string& what, const std::string& state, const std::string& cause) {
    std::string& known = known_[what];
    if (known == state) return {};
    known = state;
    if (is_json(output_)) {
      print_json(boost::json::object{
          {"time", format_time(now())}, {"what", printable_text(what)}, {"state", state}, {"cause", printable_text(cause)}});
      return {};
    }
    const bool told = write_stdout(fmt::format("{}  {:<12} {}{}\n", format_time(now()), printable_text(what), state,
                                               cause.empty() ? "" : ": " + printable_text(cause)));
    return told ? Status() : Status(Error{.code = Errc::io_error, .detail = "stdout is closed"});
  }

  Client& client_;
  const OutputFormat output_;
  std::map<std::string, std::string> known_;
};

/// Until Ctrl-C, the end of the time, or a failure.
Status keep_open(const DemoShop& shop, const DemoBroker* broker, Reporter& reporter, std::optional<std::chrono::milliseconds> length,
                 const Interrupts& interrupts) {
  const auto opened = std::chrono::steady_clock::now();
  for (;;) {
    auto wait = kLookEvery;
    if (length) {
      const auto left = *length - std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - opened);
      if (left <= std::chrono::milliseconds(0)) return {};
      wait = std::min(wait, left);
    }
    pollfd events[] = {{.fd = interrupts.descriptor(), .events = POLLIN, .revents = 0},
                       {.fd = broker != nullptr ? broker->descriptor() : -1, .events = POLLIN, .revents = 0}};
    const int ready = ::poll(events, 2, static_cast<int>(wait.count()));
    if (interrupts.interrupted()) return {};
    if (ready > 0 && events[1].revents != 0) return Error{.code = Errc::connection_lost, .detail = "the broker has ended"};
    if (const Status failure = shop.failure(); !failure) return failure.error();
    if (const Status looked = reporter.look(); !looked) return looked.error();
  }
}

Exit run_shop(const DemoShop::Options& options, const DemoBroker* broker, std::optional<std::chrono::milliseconds> length,
              const Globals& globals, const Interrupts& interrupts) {
  DemoShop shop(options);
  if (const Status opened = shop.open(); !opened) return report(opened.error(), globals.output);
  if (is_json(globals.output)) {
    boost::json::object object{{"server", options.server}, {"http", nullptr}, {"data_dir", nullptr}};
    if (broker != nullptr) {
      object["http"] = broker->url();
      object["data_dir"] = broker->data_dir();
    }
    print_json(object);
  } else if (!write_stdout(welcome(options.server, broker))) {
    return Exit::failed;
  }
  Globals looking = globals;
  looking.server = options.server;
  Result<Client> client = connect(looking);
  if (!client) return report(client.error(), globals.output);
  Reporter reporter(*client, globals.output);
  const Status kept = keep_open(shop, broker, reporter, length, interrupts);
  shop.close();
  Status removed;
  if (broker == nullptr) removed = shop.remove();
  if (!kept) return report(kept.error(), globals.output);
  if (!removed) return report(removed.error(), globals.output);
  return Exit::done;
}

Exit demo(const DemoOptions& options, bool on_given_broker, const Globals& globals, Interrupts& interrupts) {
  std::optional<std::chrono::milliseconds> length;
  if (!options.length.empty()) {
    const Result<std::chrono::milliseconds> parsed = parse_duration(options.length);
    if (!parsed) return report_usage("--for: " + parsed.error().detail, globals.output);
    length = *parsed;
  }
  const Result<std::chrono::milliseconds> objective = parse_duration(options.objective);
  if (!objective) return report_usage("--objective: " + objective.error().detail, globals.output);
  DemoShop::Options shop{.server = globals.server, .rate = options.rate, .backlog = options.backlog, .objective = *objective};

  const Interrupts::Listener listener(interrupts, [] {});  // Ctrl-C ends the waiting, and then everything in turn.
  if (on_given_broker) return run_shop(shop, nullptr, length, globals, interrupts);
  Result<DemoBroker> broker = DemoBroker::start({.native = options.native, .http = options.http}, interrupts);
  if (!broker && broker.error().code == Errc::cancelled) return Exit::done;
  if (!broker) return report(broker.error(), globals.output);
  shop.server = broker->server();
  const Exit outcome = run_shop(shop, &*broker, length, globals, interrupts);
  if (const Status stopped = broker->stop(); !stopped && outcome == Exit::done) return report(stopped.error(), globals.output);
  return outcome;
}

}  // namespace

void add_demo_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("demo", "A shop of four services, each with a trouble of its own, to look at lag with");
  verb->footer(
      "Without --server it runs on a broker of its own, in a temporary directory. On a given one it makes the topics orders, stock-moves,\n"
      "invoices and reminders and the groups inventory, billing, shipping and analytics, and removes them at the end.");
  const auto options = std::make_shared<DemoOptions>();
  verb->add_option("--for", options->length, "End after so long, instead of with Ctrl-C")->type_name("DURATION");
  verb->add_option("--http", options->http, "Address of the console of the demo's own broker; port 0: a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  verb->add_option("--native", options->native, "Address of its native listener")->type_name("HOST:PORT")->capture_default_str();
  verb->add_option("--rate", options->rate, "Events of orders a second; inventory does twice as many")
      ->check(CLI::Range(1.0, 10'000.0))
      ->capture_default_str();
  verb->add_option("--backlog", options->backlog, "Events of a sale, from which inventory has its backlog")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  verb->add_option("--objective", options->objective, "Lag time from which a group is behind")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->callback([&root, &invocation, options] {
    const bool on_given_broker = root.get_option("--server")->count() > 0;
    invocation.action = [options, on_given_broker](const Globals& globals, Interrupts& interrupts) {
      return demo(*options, on_given_broker, globals, interrupts);
    };
  });
}

}  // namespace tidemark::tools
