#include "tools/tidemarkd/server_process.h"

#include <cstdio>
#include <cstdlib>
#include <future>

#include <boost/asio/ip/address.hpp>

#include "storage/base/log.h"
#include "tools/tidemarkd/effective_settings.h"
#include "tools/tidemarkd/ports_file.h"

namespace tidemark::tools {
namespace {

using boost::asio::ip::tcp;

constexpr std::uint64_t kHttpBodyBytesMax = 1024ull * 1024;

std::vector<tcp::endpoint> endpoints(const ListenAddress& address) {
  std::vector<tcp::endpoint> result;
  for (const std::string& ip : address.addresses()) result.emplace_back(boost::asio::ip::make_address(ip), address.port);
  return result;
}

/// The address people connect to.
std::string shown(const ListenAddress& address, std::uint16_t port) {
  ListenAddress bound = address;
  bound.host = address.addresses().front();
  bound.port = port;
  return bound.to_string();
}

Error with_advice(Error error, std::string_view flag) {
  error.detail += "; choose another address with " + std::string(flag) + " HOST:PORT (port 0 = a free one)";
  return error;
}

/// What the system says of a path is not yet what to do about it.
Error data_directory_error(Error error, const std::string& directory) {
  const bool from_the_system = error.code == Errc::io_error || error.code == Errc::not_found || error.code == Errc::denied;
  if (from_the_system) error.detail += "; " + directory + " must be a directory that this user may write: see --data-dir";
  return error;
}

/// A failed write or flush: nothing more may be acknowledged, and only a new start can tell what is on the disk.
void end_process(const Error& error) {
  std::fprintf(stderr, "tidemarkd: %s\ntidemarkd: stopped at once; what was acknowledged is safe, see the disk before the next start\n",
               error.to_string().c_str());
  std::_Exit(1);
}

std::string durability_text(const broker::TopicConfig& defaults) {
  switch (defaults.durability) {
    case broker::Durability::fsync:
      return "flushed before every acknowledgement";
    case broker::Durability::interval:
      return "WEAK by default: flushed every " + std::to_string(defaults.flush_interval.count()) + " ms, after the acknowledgement";
    case broker::Durability::os:
      return "WEAK by default: flushed when the kernel likes";
  }
  return {};
}

}  // namespace

ServerProcess::ServerProcess(Settings settings, Config config, Machine machine)
    : settings_(std::move(settings)), config_(std::move(config)), machine_(machine) {}

ServerProcess::~ServerProcess() {
  if (const Status stopped = stop(); !stopped) log_warn("not a clean stop: " + stopped.error().to_string());
}

Status ServerProcess::start() {
  if (!config_.native.enabled && !config_.kafka.enabled && !config_.redis.enabled && !config_.http.enabled) {
    return Error{Errc::invalid_config, "native.listen, kafka.listen, redis.listen and http.listen are all off: there is nothing to serve"};
  }
  if (const Status started = start_http(); !started) return started.error();

  runtime_ = std::make_unique<broker::ThreadRuntime>(broker::ThreadRuntime::Options{.shards = config_.shards});
  Result<std::unique_ptr<broker::Broker>> opened = broker::Broker::open(*runtime_, files_, config_.broker, end_process);
  if (!opened) return data_directory_error(opened.error(), config_.broker.data_directory);
  broker_ = *std::move(opened);
  lag_ = std::make_unique<broker::LagMonitor>(*broker_, *runtime_, files_,
                                              broker::LagMonitor::Options{.path = config_.broker.data_directory + "/lag-history"});
  lag_->start();

  if (const Status started = start_native(); !started) return started.error();
  if (const Status started = start_kafka(); !started) return started.error();
  if (const Status started = start_redis(); !started) return started.error();
  if (pages_) pages_->attach(*broker_, *lag_, *runtime_);
  return {};
}

Status ServerProcess::start_http() {
  if (!config_.http.enabled) return {};
  http::ServerFacts facts;
  facts.version = TIDEMARK_VERSION;
  facts.started = SystemClock().now();
  facts.connections = [this] { return connections(); };
  facts.connection_table = table_;
  facts.settings = [this] { return effective(); };
  facts.doctor = [this] {
    std::vector<http::ServerFacts::Check> checks;
    for (DoctorCheck& found : doctor()) {
      checks.push_back({std::move(found.check), std::string(to_string(found.result)), std::move(found.value), std::move(found.advice)});
    }
    return checks;
  };
  pages_ = std::make_shared<http::BrokerPages>(std::move(facts));
  http::HttpOptions options;
  options.endpoints = endpoints(config_.http);
  options.body_bytes_max = kHttpBodyBytesMax;
  options.table = table_;
  http_ = std::make_unique<http::HttpServer>(std::move(options), pages_->site());
  if (const Status started = http_->start(); !started) return with_advice(started.error(), "--http");
  http_running_ = http_.get();
  http_port_ = http_->port();
  return {};
}

Status ServerProcess::start_native() {
  if (!config_.native.enabled) return {};
  native::ServerOptions options;
  options.endpoints = endpoints(config_.native);
  options.table = table_;
  options.facts.version = TIDEMARK_VERSION;
  options.facts.lag = lag_.get();
  options.facts.connections = [this] { return connections(); };
  options.facts.doctor = [this] {
    std::vector<wire::DoctorReply::Check> checks;
    for (DoctorCheck& found : doctor()) {
      wire::DoctorReply::Check& check = checks.emplace_back();
      check.set_check(std::move(found.check));
      check.set_result(std::string(to_string(found.result)));
      check.set_value(std::move(found.value));
      check.set_advice(std::move(found.advice));
    }
    return checks;
  };
  native_ = std::make_unique<native::Server>(*broker_, *runtime_, std::move(options));
  if (const Status started = native_->start(); !started) return with_advice(started.error(), "--native");
  native_running_ = native_.get();
  native_port_ = native_->port();
  return {};
}

Status ServerProcess::start_kafka() {
  if (!config_.kafka.enabled) return {};
  kafka::ServerOptions options;
  options.endpoints = endpoints(config_.kafka);
  options.table = table_;
  options.facts.version = TIDEMARK_VERSION;
  options.facts.advertised_host = config_.kafka_advertised_host;
  options.facts.advertised_port = config_.kafka_advertised_port;
  options.facts.accept_replication = config_.kafka_accept_replication;
  options.facts.auto_create_topics = config_.auto_create_topics;
  kafka_ = std::make_unique<kafka::Server>(*broker_, *runtime_, std::move(options));
  if (const Status started = kafka_->start(); !started) return with_advice(started.error(), "--kafka");
  kafka_running_ = kafka_.get();
  kafka_port_ = kafka_->port();
  return {};
}

Status ServerProcess::start_redis() {
  if (!config_.redis.enabled) return {};
  redis::ServerOptions options;
  options.endpoints = endpoints(config_.redis);
  options.table = table_;
  options.facts.version = TIDEMARK_VERSION;
  options.facts.compat = config_.redis_compat_7_0 ? redis::ServerFacts::Compat::v7_0 : redis::ServerFacts::Compat::v7_2;
  options.facts.auto_create_topics = config_.auto_create_topics;
  options.facts.lag_as_redis = config_.redis_lag_as_redis;
  redis_ = std::make_unique<redis::Server>(*broker_, *runtime_, std::move(options));
  if (const Status started = redis_->start(); !started) return with_advice(started.error(), "--redis");
  redis_running_ = redis_.get();
  redis_port_ = redis_->port();
  return {};
}

std::map<std::string, std::uint64_t> ServerProcess::connections() const {
  const native::Server* const native = native_running_;
  const kafka::Server* const kafka = kafka_running_;
  const redis::Server* const redis = redis_running_;
  const http::HttpServer* const http = http_running_;
  return {{"native", native == nullptr ? 0 : native->connections()},
          {"kafka", kafka == nullptr ? 0 : kafka->connections()},
          {"redis", redis == nullptr ? 0 : redis->connections()},
          {"http", http == nullptr ? 0 : http->connections()}};
}

std::vector<http::ServerFacts::Setting> ServerProcess::effective() const {
  const native::Server* const native = native_running_;
  const kafka::Server* const kafka = kafka_running_;
  const redis::Server* const redis = redis_running_;
  const http::HttpServer* const http = http_running_;
  BoundPorts ports;
  if (native != nullptr) ports["native"] = native->port();
  if (kafka != nullptr) ports["kafka"] = kafka->port();
  if (redis != nullptr) ports["redis"] = redis->port();
  if (http != nullptr) ports["http"] = http->port();
  return effective_settings(settings_, config_, ports);
}

std::vector<DoctorCheck> ServerProcess::doctor() const {
  DoctorFacts facts = gather_facts(config_, machine_, addresses());
  // The answer comes on the shard; should it be lost in a stop, the promise is broken and the reason stays unknown.
  auto asked = std::make_shared<std::promise<std::optional<std::string>>>();
  std::future<std::optional<std::string>> answer = asked->get_future();
  runtime_->shard(0).post([this, asked = std::move(asked)]() mutable {
    broker_->status({}, [asked = std::move(asked)](const Result<broker::BrokerStatus>& status) {
      asked->set_value(status ? status->read_only_reason : status.error().to_string());
    });
  });
  if (answer.wait_for(std::chrono::seconds(5)) == std::future_status::ready) {
    try {
      facts.read_only_reason = answer.get();
    } catch (const std::future_error&) {
      facts.read_only_reason = "the broker is stopping";
    }
  } else {
    facts.read_only_reason = "the broker does not answer";
  }
  return examine(facts);
}

std::string ServerProcess::addresses() const {
  std::string text;
  const auto add = [&text](const char* listener, const ListenAddress& address, std::optional<std::uint16_t> port) {
    if (port) text += (text.empty() ? "" : ", ") + std::string(listener) + " " + shown(address, *port);
  };
  add("native", config_.native, native_port_);
  add("kafka", config_.kafka, kafka_port_);
  add("redis", config_.redis, redis_port_);
  add("http", config_.http, http_port_);
  return text;
}

std::string ServerProcess::banner() const {
  const std::string& directory = config_.broker.data_directory;
  const Result<FlushTime> flush = measure_flush_time(directory);
  const Result<DiskFacts> disk = inspect_disk(directory);
  char flush_text[32] = "unknown";
  if (flush) std::snprintf(flush_text, sizeof flush_text, "%.2f ms", static_cast<double>(flush->median.count()) / 1000.0);

  std::string text = "tidemark " TIDEMARK_VERSION " · data " + directory + " (" + (disk ? disk->file_system : "unknown") + ", flush " +
                     flush_text + ") · " + durability_text(config_.broker.topic_defaults) + "\n";
  if (disk && disk->volatile_storage) text += "  NOTE: " + disk->file_system + " is in memory; nothing survives a restart of the machine\n";
  if (native_port_) text += "  native " + shown(config_.native, *native_port_) + "\n";
  if (kafka_port_) text += "  kafka  " + shown(config_.kafka, *kafka_port_) + "\n";
  if (redis_port_) text += "  redis  " + shown(config_.redis, *redis_port_) + "\n";
  if (http_port_) text += "  http   http://" + shown(config_.http, *http_port_) + "  (/api/v1, /metrics, /healthz)\n";
  if (native_port_) {
    const std::string server = *native_port_ == 7410 ? "" : "-s " + shown(config_.native, *native_port_) + " ";
    text += "  try:   tidemark " + server + "topic create greetings && echo hello | tidemark " + server + "produce greetings\n";
  }
  return text;
}

Status ServerProcess::announce(const std::string& ports_file) {
  std::fputs(banner().c_str(), stderr);
  if (ports_file.empty()) return {};
  const OpenPorts ports{.native = native_port_, .kafka = kafka_port_, .redis = redis_port_, .http = http_port_};
  if (const Status written = write_ports_file(files_, ports_file, ports); !written) {
    return Error{written.error().code, "--ports-file: " + written.error().detail};
  }
  ports_file_ = ports_file;
  return {};
}

Status ServerProcess::stop() {
  Status outcome;
  if (!ports_file_.empty()) {
    if (const Status removed = files_.remove(ports_file_); !removed) log_warn("ports file: " + removed.error().detail);
    ports_file_.clear();
  }
  if (pages_) pages_->detach("stopping");
  if (native_) native_->stop();  // The engine still answers what has been asked.
  if (kafka_) kafka_->stop();
  if (redis_) redis_->stop();
  if (lag_) {
    std::promise<void> stopped;
    lag_->stop([&stopped] { stopped.set_value(); });
    stopped.get_future().get();
  }
  if (broker_) {
    std::promise<Status> stopped;
    broker_->stop([&stopped](Status status) { stopped.set_value(std::move(status)); });
    outcome = stopped.get_future().get();
  }
  http_running_ = nullptr;
  if (http_) http_->stop();
  if (runtime_) runtime_->stop();
  native_running_ = nullptr;
  kafka_running_ = nullptr;
  redis_running_ = nullptr;
  native_.reset();
  kafka_.reset();
  redis_.reset();
  http_.reset();
  lag_.reset();
  broker_.reset();
  runtime_.reset();
  return outcome;
}

}  // namespace tidemark::tools
