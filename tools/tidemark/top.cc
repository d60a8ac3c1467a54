#include <cerrno>
#include <ctime>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "storage/base/units.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/terminal.h"
#include "tools/tidemark/top_screen.h"
#include "tools/tidemark/top_watch.h"

/// `tidemark top`: groups, topics, clients and dead letters, live.
namespace tidemark::tools {
namespace {

constexpr std::size_t kTextWidth = 120;  ///< Of a frame that goes into a file or a pipe.
constexpr std::chrono::milliseconds kEscapePatience{50};
constexpr std::chrono::milliseconds kIntervalMin{100};
/// After which the screen says that the broker does not answer.
constexpr std::chrono::milliseconds kAnswerPatience{3'000};

struct TopOptions {
  bool once = false;
  std::string interval = "1s";
  std::string view = "groups";
};

std::string time_of_day() {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local = {};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

/// Rates are known from the second sample on.
Exit print_once(Client& client, TopScreen screen, std::chrono::milliseconds interval, const Globals& globals,
                const Interrupts& interrupts) {
  TopModel model;
  for (int i = 0; i < 2; ++i) {
    if (i > 0 && !interrupts.sleep(interval)) return Exit::interrupted;
    Result<TopSample> sample = take_sample(client);
    if (!sample) return report(sample.error(), globals.output);
    model.add(*std::move(sample));
  }
  const std::size_t width = stdout_draws() ? terminal_size().width : kTextWidth;
  return write_stdout(screen.render_all(model, {.time = time_of_day(), .trouble = {}}, width).to_text()) ? Exit::done : Exit::failed;
}

/// The loop of the screen: keys, sizes and samples in, frames out.
class Session {
 public:
  Session(TopScreen screen, Terminal& terminal, TopWatch& watch, const Interrupts& interrupts)
      : screen_(std::move(screen)), terminal_(terminal), watch_(watch), interrupts_(interrupts) {}

  Status run() {
    for (;;) {
      if (const Status drawn = draw(); !drawn) return drawn.error();
      pollfd events[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                         {.fd = interrupts_.descriptor(), .events = POLLIN, .revents = 0},
                         {.fd = terminal_.descriptor(), .events = POLLIN, .revents = 0},
                         {.fd = watch_.descriptor(), .events = POLLIN, .revents = 0}};
      const int timeout = keys_.pending() ? static_cast<int>(kEscapePatience.count()) : -1;
      const int ready = ::poll(events, 4, timeout);
      if (interrupts_.interrupted()) return {};
      if (ready == 0 && !press(keys_.flush())) return {};
      if (ready <= 0) continue;
      if (events[2].revents != 0) terminal_.size_changed();
      if (events[3].revents != 0) take_sample();
      if (events[0].revents != 0 && !read_keys()) return {};
    }
  }

 private:
  Frame render() {
    const TerminalSize size = terminal_size();
    return screen_.render(model_, {.time = time_of_day(), .trouble = trouble_}, size.width, size.height);
  }
  Status draw() { return terminal_.draw(render().to_ansi(colour_)); }

  void take_sample() {
    std::optional<Result<TopSample>> sample = watch_.take();
    if (!sample || screen_.paused()) return;
    if (!*sample) {
      trouble_ = printable_text((*sample).error().detail) + "; still trying";
      return;
    }
    trouble_.clear();
    model_.add(**std::move(sample));
  }

  /// Keys that come together are each about what the one before has made of the screen.
  bool press(const std::vector<Key>& keys) {
    for (const Key& key : keys) {
      if (!screen_.press(key)) return false;
      render();
    }
    return true;
  }
  /// False: the end.
  bool read_keys() {
    char bytes[256];
    const ssize_t count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) return true;
    return count > 0 && press(keys_.feed({bytes, static_cast<std::size_t>(count)}));
  }

  TopScreen screen_;
  Terminal& terminal_;
  TopWatch& watch_;
  const Interrupts& interrupts_;
  TopModel model_;
  KeyDecoder keys_;
  std::string trouble_;
  const bool colour_ = colour_wanted();
};

Exit top(const TopOptions& options, const Globals& globals, Interrupts& interrupts) {
  const Result<std::chrono::milliseconds> interval = parse_duration(options.interval);
  if (!interval) return report_usage("--interval: " + interval.error().detail, globals.output);
  if (*interval < kIntervalMin) return report_usage("--interval: at least 100ms", globals.output);
  const std::optional<TopView> view = parse_top_view(options.view);
  if (!view) return report_usage("--view is groups, topics, clients or dlq", globals.output);
  if (is_json(globals.output))
    return report_usage("top is for people; `group ls`, `group lag`, `topic ls` and `dlq ls` answer in JSON", globals.output);
  if (!options.once && (!stdout_draws() || ::isatty(STDIN_FILENO) != 1)) {
    return report_usage("top needs a terminal; `tidemark top --once` prints one look as text", globals.output);
  }
  Globals impatient = globals;
  if (!globals.timeout) impatient.timeout = kAnswerPatience;
  Result<Client> client = connect(impatient);
  if (!client) return report(client.error(), globals.output);
  TopScreen screen(globals.server, *view);
  const Interrupts::Listener listener(interrupts, [] {});  // Ctrl-C ends the loop, and the terminal is put right.
  if (options.once) return print_once(*client, std::move(screen), *interval, globals, interrupts);
  Result<Terminal> terminal = Terminal::open();
  if (!terminal) return report(terminal.error(), globals.output);
  TopWatch watch(*client, *interval);
  const Status ended = Session(std::move(screen), *terminal, watch, interrupts).run();
  terminal->restore();  // Before the connection: closing that may take a moment.
  return ended ? Exit::done : report(ended.error(), globals.output);
}

}  // namespace

void add_top_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb =
      root.add_subcommand("top", "Groups, topics, clients and dead letters on the whole screen, live; ? explains the keys");
  const auto options = std::make_shared<TopOptions>();
  verb->add_flag("--once", options->once, "Print one look as text instead, for scripts and pipes");
  verb->add_option("--interval", options->interval, "How often the broker is asked")->type_name("DURATION")->capture_default_str();
  verb->add_option("--view", options->view, "What is shown first: groups, topics, clients or dlq")->capture_default_str();
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return top(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
